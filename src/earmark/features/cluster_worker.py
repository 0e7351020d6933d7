"""What a worker of a Dask cluster does for one shard, and how it reports what went wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.storage.store import Store

Work = Callable[[Path, Path, str], object]  # of source, target and fingerprint
About = Callable[[], tuple[str, str]]  # returns a machine's code, and its makers


@dataclass(frozen=True)
class Task:
    """One shard to compute: ``source`` has the waveforms, ``target`` gets the features of its ``clips`` clips."""

    source: Path
    target: Path
    fingerprint: str
    clips: int

    @property
    def source_name(self) -> str:
        """The name of the waveforms in a store."""
        return f"waveforms/{self.fingerprint}.h5"  # of the features: a worker that has no file knows only this one

    @property
    def target_name(self) -> str:
        """The name of the features in a store."""
        return f"features/{self.fingerprint}.h5"


class TaskError(Exception):
    """The address of a worker, and what went wrong there."""


def run_task(began: tuple[str, str], work: Work, about: About, task: Task, store: str | None) -> None:
    """Do one task on a worker.

    began: code and makers of the run. store: a URL, if the machines share no folder. Raises TaskError for whatever goes
    wrong: its text can be read by a client that does not know the class of the error.
    """
    from distributed import get_worker

    try:
        if unlike := difference(about(), began):  # it joined after the others were asked
            raise EarmarkError(unlike)
        if store is None:
            work(task.source, task.target, task.fingerprint)
        else:
            run_by_store(Store(store), work, task)
        return
    except Exception as error:
        failed = TaskError(get_worker().address, told(error))
    raise failed  # not in the except clause: Dask would send its cause too, whose class the client may not have


def run_by_store(store: Store, work: Work, task: Task) -> None:
    """Do one task on a worker that shares no folder: fetch the waveforms, and leave the features in the store."""
    if store.has(task.target_name):  # by a worker that has died since, or for an earlier run
        return
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "waveforms" / task.source.name
        target = Path(scratch) / "features" / task.target.parent.name / task.target.name
        target.parent.mkdir(parents=True)
        store.get(task.source_name, source)
        work(source, target, task.fingerprint)
        store.put(target, task.target_name)


def difference(here: tuple[str, str], began: tuple[str, str]) -> str | None:
    """Return why a worker's shards would not be those of the run, None if they would; both are (code, makers)."""
    if here[0] != began[0]:
        return f"it has earmark's code {here[0][:12]}, not {began[0][:12]}; update it there"
    if here[1] != began[1]:
        return f"it computes with {here[1]}, but the run began with {began[1]}: the bytes would differ; use one kind"
    return None


def told(error: BaseException) -> str:
    """Return an error as one line, which begins with its class unless the text was written for users."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, EarmarkError | OSError):
        return text
    return ": ".join([type(error).__name__, *(line[:300] for line in text.strip().splitlines()[:1])])
