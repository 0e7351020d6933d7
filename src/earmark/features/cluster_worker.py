"""What a worker of a Dask cluster does for one shard, and how it tells what went wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.storage.store import Store

Work = Callable[[Path, Path, str], object]  # of source, target and fingerprint
About = Callable[[], tuple[str, str]]  # a machine's code, and its makers


@dataclass(frozen=True)
class Task:
    """One shard: the waveforms ``source``, the features ``target``, their fingerprint, and how many clips it has."""

    source: Path
    target: Path
    fingerprint: str
    clips: int

    @property
    def source_name(self) -> str:
        """What the waveforms are called in a store."""
        return f"waveforms/{self.fingerprint}.h5"  # what the worker knows, too: it cannot open the source

    @property
    def target_name(self) -> str:
        """What the features are called in a store."""
        return f"features/{self.fingerprint}.h5"


class TaskError(Exception):
    """A worker's address, and what went wrong there."""


def run_task(began: tuple[str, str], work: Work, about: About, task: Task, store: str | None) -> None:
    """Do one task on a worker. Whatever goes wrong leaves it as text: any client can read that.

    began: code and makers of the run. store: the URL of what serves the worker in place of a shared folder.
    """
    from distributed import get_worker

    try:
        if unlike := difference(about(), began):  # it has joined since the others were asked
            raise EarmarkError(unlike)
        if store is None:
            work(task.source, task.target, task.fingerprint)
        else:
            run_by_store(Store(store), work, task)
        return
    except Exception as error:
        failed = TaskError(get_worker().address, told(error))
    raise failed  # not from within: Dask would send along what it comes from, whose class the client may not have


def run_by_store(store: Store, work: Work, task: Task) -> None:
    """Do one task on a worker that shares no folder."""
    if store.has(task.target_name):  # done before, by a worker that died or for a client that did
        return
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "waveforms" / task.source.name
        target = Path(scratch) / "features" / task.target.parent.name / task.target.name
        target.parent.mkdir(parents=True)
        store.get(task.source_name, source)
        work(source, target, task.fingerprint)
        store.put(target, task.target_name)


def difference(here: tuple[str, str], began: tuple[str, str]) -> str | None:
    """What keeps a worker's shards from being those of the run."""
    if here[0] != began[0]:
        return f"it has earmark's code {here[0][:12]}, not {began[0][:12]}; update it there"
    if here[1] != began[1]:
        return f"it computes with {here[1]}, but the run began with {began[1]}: the bytes would differ; use one kind"
    return None


def told(error: BaseException) -> str:
    """An error in one line; what kind it is, unless it was written for users."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, EarmarkError | OSError):
        return text
    return ": ".join([type(error).__name__, *(line[:300] for line in text.strip().splitlines()[:1])])
