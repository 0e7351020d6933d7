"""Shards computed by the workers of a Dask cluster, where EARMARK_CLUSTER names its scheduler.

The workers write the very files that this process would have written, to the folder that all share, or by way of an
fsspec URL that all reach (``s3://...``), where EARMARK_STORE names one. Which shards are missing, and what is in them,
is decided here as ever: a cluster changes no fingerprint.
"""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark import shards
from earmark.errors import EarmarkError

RETRIES = 3
PATIENCE = 60  # seconds to wait for a scheduler, and for its first worker

Settings = dict[str, Any]
Work = Callable[[Settings, Path, Path, str], object]
About = Callable[[], tuple[str, str]]


@dataclass(frozen=True)
class Task:
    """One shard: the waveforms ``source``, the features ``target``, their fingerprint, and how many clips it has."""

    source: Path
    target: Path
    fingerprint: str
    clips: int


class Store:
    """Files by name below an fsspec URL, each written beside its place and moved there."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.files, self.root = fsspec.core.url_to_fs(url)

    def has(self, name: str) -> bool:
        """Whether a file is there now: another machine may have written it since the folder was last listed."""
        self.files.invalidate_cache()
        return bool(self.files.exists(f"{self.root}/{name}"))

    def put(self, local: Path, name: str) -> None:
        """Upload a file."""
        place = f"{self.root}/{name}"
        beside = f"{place}.{uuid.uuid4().hex}.tmp"
        self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.files.put_file(str(local), beside)
        self.files.mv(beside, place)

    def get(self, name: str, local: Path) -> None:
        """Download a file."""
        local.parent.mkdir(parents=True, exist_ok=True)
        beside = local.with_name(f".{local.name}.{uuid.uuid4().hex}.tmp")
        try:
            self.files.get_file(f"{self.root}/{name}", str(beside))
            beside.replace(local)
        finally:
            beside.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a file that may be there."""
        if self.has(name):
            self.files.rm_file(f"{self.root}/{name}")


def run(
    address: str, work: Work, about: About, settings: Settings, tasks: Sequence[Task], done: Callable[[int], object]
) -> None:
    """Have ``work(settings, source, target, fingerprint)`` done for every task by the workers of a cluster.

    about: tells, on a worker, its code and what else the bytes of its shards depend on. A worker that declares ``GPU``
    resources takes one task per GPU; where any does, only such workers are used. A task whose worker dies is given to
    another one. Raises EarmarkError where there is no scheduler or no worker, where the workers' code is not this one,
    and where a shard cannot be computed; the finished ones stay.
    """
    store = os.environ.get("EARMARK_STORE")
    remote = Store(store) if store else None
    finished = 0
    with _client(address) as client:
        version = about()[0]
        resources = _check_workers(client, address, about)

        def submit(task: Task, **where: Any) -> Any:
            if remote is not None and not remote.has(_source_name(task)):
                remote.put(task.source, _source_name(task))
            place = Task(task.source.resolve(), task.target.resolve(), task.fingerprint, task.clips)
            arguments = (version, work, about, settings, place, store)
            return client.submit(_on_worker, *arguments, resources=resources, retries=RETRIES, pure=False, **where)

        try:
            for task in _completed(client, resources, submit, tasks):
                if remote is not None:
                    remote.get(_target_name(task), task.target)
                    remote.remove(_target_name(task))
                    remote.remove(_source_name(task))
                _check_result(address, task)
                finished += 1
                done(task.clips)
        except _LostTaskError as lost:
            raise EarmarkError(_explained(lost, address, finished, len(tasks))) from lost.reason


def _completed(
    client: Any, resources: dict[str, int], submit: Callable[..., Any], tasks: Sequence[Task]
) -> Iterator[Task]:
    """Yield each task when it is done; one that fails on a worker goes to those on which none has failed.

    A full disk or a broken installation fails every task at once, and so draws them all. Raises _LostTaskError.
    """
    from distributed import as_completed

    futures = {submit(task): task for task in tasks}
    failed_on: set[str] = set()
    waiting = as_completed(futures, loop=client.loop)  # type: ignore[no-untyped-call]
    for future in waiting:
        task = futures.pop(future)
        try:
            future.result()
        except _TaskError as error:
            failed_on.add(error.args[0])
            others = [name for name in _workers(client, resources) if name not in failed_on]
            if not others:
                raise _LostTaskError(task, error) from error
            again = submit(task, workers=others)
            futures[again] = task
            waiting.add(again)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise _LostTaskError(task, error) from error
        else:
            future.release()  # the scheduler keeps nothing of it, so that only shards in flight are ever done twice
            yield task


def _check_result(address: str, task: Task) -> None:
    """Refuse a shard that is not here: a folder that is shared only in name."""
    found = shards.fingerprint_of(task.target)
    if found != task.fingerprint:
        raise EarmarkError(
            f"{task.target}: a worker of {address} wrote it (fingerprint {task.fingerprint}), but here is {found}; do "
            f"all machines share {task.target.parent.resolve()}? Otherwise EARMARK_STORE must name a store that they "
            "reach"
        )


class _TaskError(Exception):
    """A worker's address, and what went wrong there."""


class _LostTaskError(Exception):
    """A task that no worker can do, and why."""

    def __init__(self, task: Task, reason: Exception) -> None:
        super().__init__(task, reason)
        self.task, self.reason = task, reason


def _on_worker(version: str, work: Work, about: About, settings: Settings, task: Task, store: str | None) -> None:
    """What a worker does for one task."""
    from distributed import get_worker

    try:
        if (code := about()[0]) != version:  # it has joined since the others were asked
            raise EarmarkError(f"it has earmark's code {code[:12]}, not {version[:12]}; update it there")
        if store is None:
            work(settings, task.source, task.target, task.fingerprint)
        else:
            _by_way_of(Store(store), work, settings, task)
    except (EarmarkError, OSError) as error:
        raise _TaskError(get_worker().address, str(error)) from None


def _by_way_of(store: Store, work: Work, settings: Settings, task: Task) -> None:
    """The same for a worker that shares no folder."""
    if store.has(_target_name(task)):  # done before, by a worker that died or for a client that did
        return
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "waveforms" / task.source.name, Path(scratch) / task.target.name
        store.get(_source_name(task), source)
        work(settings, source, target, task.fingerprint)
        store.put(target, _target_name(task))


def _source_name(task: Task) -> str:
    return f"waveforms/{task.fingerprint}.h5"  # what the worker knows, too: it cannot open the source


def _target_name(task: Task) -> str:
    return f"features/{task.fingerprint}.h5"


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise EarmarkError(f"EARMARK_CLUSTER={address} needs earmark[distributed]: pip install distributed") from None
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it reports a lost connection many times over; the error says it once
    try:
        try:
            client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise EarmarkError(f"EARMARK_CLUSTER: no scheduler answers at {address} ({error})") from None
        try:
            yield client
        finally:
            client.close(timeout=5)  # type: ignore[no-untyped-call]
    finally:
        log.setLevel(level)


def _check_workers(client: Any, address: str, about: About) -> dict[str, int]:
    """Refuse workers that would compute something else; return the resources that a task takes."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise EarmarkError(f"{address}: no worker has joined in {PATIENCE} s; start `dask worker {address}`") from None
    resources = {"GPU": 1} if _workers(client, {"GPU": 1}) else {}
    found: dict[str, Any] = client.run(about, workers=_workers(client, resources), on_error="return")
    here = about()[0]
    for worker, told in found.items():
        if isinstance(told, BaseException):
            raise EarmarkError(
                f"{address}: worker {worker} cannot import earmark ({told}); install this version of it there"
            )
        if told[0] != here:
            raise EarmarkError(
                f"{address}: worker {worker} has earmark's code {told[0][:12]}, not {here[:12]}; update it there"
            )
    if len(kinds := {told[1] for told in found.values()}) > 1:
        raise EarmarkError(
            f"{address}: its workers differ ({'; '.join(sorted(kinds))}), and so would the bytes of their shards; use "
            "one kind"
        )
    return resources


def _workers(client: Any, resources: dict[str, int]) -> list[str]:
    """The addresses of the workers that declare those resources."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [name for name, told in workers.items() if resources.keys() <= (told.get("resources") or {}).keys()]


def _explained(lost: _LostTaskError, address: str, finished: int, total: int) -> str:
    """What went wrong, which shard it was, and what is kept."""
    from distributed import CancelledError, KilledWorker

    task, error = lost.task, lost.reason
    kept = f"{finished} of {total} shards are finished and kept; run the stage again to go on"
    if isinstance(error, CancelledError | OSError | TimeoutError):
        return f"{address}: the scheduler has gone away; {kept}"
    if isinstance(error, KilledWorker):
        return f"{task.target}: {RETRIES + 1} workers died while they computed it, of lack of memory perhaps; {kept}"
    where, reason = error.args if isinstance(error, _TaskError) else (address, error)
    return f"{task.target}: on {where}: {reason}; {kept}"
