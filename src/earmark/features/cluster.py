"""Shards computed by the workers of a Dask cluster, if EARMARK_CLUSTER names its scheduler.

The workers write the same files as this process would write, into a folder that all machines share. If they share
none, EARMARK_STORE names an fsspec URL that they all reach (``s3://...``). This process still decides which shards are
missing and what is in them, so a cluster changes no fingerprint.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from earmark.errors import EarmarkError
from earmark.features.cluster_worker import About, TaskError, Work, difference, run_task, told
from earmark.features.cluster_worker import Task as Task
from earmark.storage import shards
from earmark.storage.store import Store

RETRIES = 3
PATIENCE = 60  # seconds to wait for a scheduler, and for its first worker
LOOK = 5  # seconds without news after which to see whether the workers that a task was given to are still there

_ABSENT = re.compile("(Import|ModuleNotFound|Attribute)Error")  # as text: Dask wraps them


def run(address: str, work: Work, about: About, tasks: Sequence[Task], done: Callable[[int], object]) -> None:
    """Have the workers of a cluster do ``work(source, target, fingerprint)`` for every task.

    address: of the scheduler. about: returns the code and the makers of the machine that it runs on; the bytes of a
    shard depend on both. The workers that are there at the start decide what the makers are, and every task compares
    those of its worker with them, because a worker may join later. A worker that declares ``GPU`` resources takes one
    task per GPU; if any worker does, the others get no task. If a worker dies, or if anything goes wrong on it, another
    one gets its task. done: called with the number of clips of every finished task.

    Raises EarmarkError if there is no scheduler or no worker, if the workers have other code, or if no worker can
    compute a shard; the finished ones stay.
    """
    store = os.environ.get("EARMARK_STORE")
    remote = Store(store) if store else None
    finished = 0
    with _client(address) as client:
        resources, makers = _check_workers(client, address, about)
        began = about()[0], makers

        def submit(task: Task, **where: Any) -> Any:
            if remote is not None and not remote.has(task.source_name):
                remote.put(task.source, task.source_name)
            place = replace(task, source=task.source.resolve(), target=task.target.resolve())
            arguments = (began, work, about, place, store)
            return client.submit(run_task, *arguments, resources=resources, retries=RETRIES, pure=False, **where)

        try:
            for task in _completed(client, resources, submit, tasks):
                if remote is not None:
                    remote.get(task.target_name, task.target)
                    remote.remove(task.target_name)
                    remote.remove(task.source_name)
                _check_result(address, task)
                finished += 1
                done(task.clips)
        except _LostTaskError as lost:
            raise EarmarkError(_explained(lost, address, finished, len(tasks))) from lost.reason


def _completed(
    client: Any, resources: dict[str, int], submit: Callable[..., Any], tasks: Sequence[Task]
) -> Iterator[Task]:
    """Yield each task when it is done. A task that fails on a worker goes to the workers that have not tried it.

    Workers that have not failed at anything come first: if a worker's disk is full, or if its installation or its GPU
    is broken, it fails at once, and so the scheduler would give it every task. Raises _LostTaskError.
    """
    from distributed import CancelledError, KilledWorker

    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    running: dict[Any, tuple[Task, frozenset[str]]] = {}  # and the only workers that may do it; none: any
    failures: dict[Task, dict[str, str]] = {task: {} for task in tasks}  # the reason on each worker that has tried

    def start(task: Task, workers: Sequence[str] = ()) -> None:
        future = submit(task, **({"workers": list(workers)} if workers else {}))
        running[future] = task, frozenset(workers)
        future.add_done_callback(ended.put)

    def start_elsewhere(task: Task, reason: Exception | None = None) -> None:
        untried = [name for name in _workers(client, resources) if name not in failures[task]]
        if not untried:
            raise _LostTaskError(task, reason, failures[task])
        sick = set[str]().union(*failures.values())
        start(task, [name for name in untried if name not in sick] or untried)

    for task in tasks:
        start(task)
    while running:
        try:
            future = ended.get(timeout=LOOK)
        except queue.Empty:
            here = set(_workers(client, resources))
            for gone in [future for future, (_, chosen) in running.items() if chosen and not chosen & here]:
                task, _ = running.pop(gone)
                gone.cancel()
                start_elsewhere(task)
            continue
        if future not in running:
            continue
        task, _ = running.pop(future)
        try:
            future.result()
        except (CancelledError, KilledWorker) as error:
            raise _LostTaskError(task, error) from error
        except Exception as error:
            worker, reason = _whose(client, future, task, error)
            if worker in failures[task]:  # it was asked not to try again
                raise _LostTaskError(task, error, failures[task]) from error
            if not any(worker in tried for tried in failures.values()):
                print(f"worker {worker} cannot compute {task.target}: {reason}", file=sys.stderr)
            failures[task][worker] = reason
            start_elsewhere(task, error)
        else:
            future.release()  # the scheduler forgets it, so that only shards in flight are ever done twice
            yield task


def _whose(client: Any, future: Any, task: Task, error: Exception) -> tuple[str, str]:
    """Return the worker on which a task has failed, and the reason."""
    if isinstance(error, TaskError):
        return error.args[0], error.args[1]
    key = future.key  # it failed before the task began, because earmark is not installed there for instance
    try:
        found = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks[key].erred_on))
    except Exception as silent:
        raise _LostTaskError(task, silent) from silent
    return found[0] if found else "of unknown address", told(error)


def _check_result(address: str, task: Task) -> None:
    """Raise EarmarkError if a finished shard is not here: then the folder is shared only in name."""
    found = shards.fingerprint_of(task.target)
    if found != task.fingerprint:
        raise EarmarkError(
            f"{task.target}: a worker of {address} wrote it (fingerprint {task.fingerprint}), but here is {found}; do "
            f"all machines share {task.target.parent.resolve()}? Otherwise EARMARK_STORE must name a store that they "
            "reach"
        )


class _LostTaskError(Exception):
    """A task that no worker can do, the error, and the reason on each worker that has tried."""

    def __init__(self, task: Task, reason: Exception | None, failures: dict[str, str] | None = None) -> None:
        super().__init__(task, reason, failures)
        self.task, self.reason, self.failures = task, reason, failures or {}


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Connect to a scheduler; EarmarkError if there is none, or if Dask is not installed."""
    try:
        from distributed import Client
    except ImportError:
        raise EarmarkError(f"EARMARK_CLUSTER={address} needs earmark[distributed]: pip install distributed") from None
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it reports a lost connection many times; the error says it once
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


def _check_workers(client: Any, address: str, about: About) -> tuple[dict[str, int], str]:
    """Return the resources that a task takes, and the makers of the workers.

    A worker may be there that cannot tell its makers, because its GPU is broken for instance: the tasks that it takes
    go to others. Raises EarmarkError if there is no worker, or if the workers would compute something else.
    """
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise EarmarkError(f"{address}: no worker has joined in {PATIENCE} s; start `dask worker {address}`") from None
    resources = {"GPU": 1} if _workers(client, {"GPU": 1}) else {}
    found: dict[str, Any] = client.run(about, workers=_workers(client, resources), on_error="return")
    here = about()[0]
    makers, silent = set[str](), []
    for worker, answer in found.items():
        if isinstance(answer, Exception) and _ABSENT.search(repr(answer)):
            raise EarmarkError(
                f"{address}: worker {worker} cannot import earmark ({answer}); install this version of it there"
            )
        if isinstance(answer, BaseException):
            silent.append(f"on {worker}: {told(answer)}")
        elif unlike := difference(answer, (here, answer[1])):
            raise EarmarkError(f"{address}: worker {worker}: {unlike}")
        else:
            makers.add(answer[1])
    if len(makers) > 1:
        raise EarmarkError(
            f"{address}: its workers differ ({'; '.join(sorted(makers))}), and so would the bytes of their shards; use "
            "one kind"
        )
    if not makers:
        raise EarmarkError(f"{address}: none of its workers can compute anything; {'; '.join(silent)}")
    return resources, makers.pop()


def _workers(client: Any, resources: dict[str, int]) -> list[str]:
    """Return the addresses of the workers that declare these resources."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return [name for name, about in workers.items() if resources.keys() <= (about.get("resources") or {}).keys()]


def _explained(lost: _LostTaskError, address: str, finished: int, total: int) -> str:
    """Return the text of an error: what went wrong, with which shard, and what is kept."""
    from distributed import KilledWorker

    shard, kept = lost.task.target, f"{finished} of {total} shards are finished and kept; run the stage again to go on"
    if lost.failures:
        reasons = "; ".join(f"on {worker}: {reason}" for worker, reason in lost.failures.items())
        return f"{shard}: {reasons}; no other worker is there to try it; {kept}"
    if isinstance(lost.reason, KilledWorker):
        return f"{shard}: {RETRIES + 1} workers died while they computed it, of lack of memory perhaps; {kept}"
    return f"{address}: the scheduler has gone away; {kept}"
