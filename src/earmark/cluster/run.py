"""Tasks done by the workers of a Dask cluster: each once, whatever happens to a worker.

No more tasks are with the scheduler than its workers take at a time, and of a finished one nothing is kept but what the
worker returned: neither this process nor the scheduler grows with the number of tasks.
"""

from __future__ import annotations

import queue
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from earmark.cluster import connection
from earmark.cluster.connection import Crew
from earmark.cluster.worker import About, TaskError, run_task, told
from earmark.errors import EarmarkError

RETRIES = 3

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Task(Generic[T]):
    """What is to be done with ``item``. name: what errors call it."""

    name: str
    item: T


def run(
    address: str,
    work: Callable[[T], R],
    about: About,
    tasks: Sequence[Task[T]],
    *,
    on_gpus: bool = False,
    like: tuple[str, str] | None = None,
    keeps: bool = True,
    before: Callable[[T], object] = lambda _: None,
) -> Generator[tuple[T, R], None, None]:
    """Have the workers of a cluster do ``work(item)`` for every task; yield items and results as they are finished.

    address: of the scheduler. about: returns the code and the makers of the machine that it runs on; the bytes of a
    shard depend on both. The workers that are there at the start decide what the makers are, or else ``like`` does, and
    every task compares those of its worker with them, because a worker may join later. on_gpus: a worker that declares
    ``GPU`` resources takes one task per GPU; if any worker does, the others get no task. If a worker dies, or if
    anything goes wrong on it, another one gets its task. before: called here with an item before a worker gets it.
    keeps: what is finished need not be done again if the run is repeated.

    Close the iterator if it is not read to its end. Raises EarmarkError if there is no scheduler or no worker, if the
    workers have other code, or if no worker can do a task.
    """
    finished = 0
    with connection.connected(address) as client:
        resources, makers = connection.choose_workers(client, address, about, on_gpus, like)
        began = about()[0], makers

        def submit(task: Task[T], **where: Any) -> Any:
            before(task.item)
            more = {"resources": resources, "retries": RETRIES, "pure": False} | where
            return client.submit(run_task, began, work, about, task.item, **more)

        try:
            for task, result in _Tasks(client, Crew(client, address, resources), submit, tasks).done():
                finished += 1
                yield task.item, result
        except _LostTaskError as lost:
            raise EarmarkError(_explained(lost, address, _kept(finished, len(tasks)) if keeps else "")) from lost.reason


class _Tasks:
    """Tasks that wait, are with the scheduler, or have failed on some workers."""

    def __init__(self, client: Any, crew: Crew, submit: Callable[..., Any], tasks: Sequence[Task[Any]]) -> None:
        self.client, self.crew, self.submit = client, crew, submit
        self.waiting = deque(tasks)
        self.running: dict[Any, tuple[Task[Any], frozenset[str]]] = {}  # and the only workers that may do it; none: any
        self.failures: dict[Task[Any], dict[str, str]] = {}  # the reason on each worker that has tried
        self.told = set[str]()  # workers of which a failure was told
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def done(self) -> Iterator[tuple[Task[Any], Any]]:
        """Yield each task and its result when it is done. Raises _LostTaskError."""
        while self.waiting or self.running:
            self._look()
            while self.waiting and len(self.running) < self.crew.room:
                self._start_again(self.waiting.popleft())
            try:
                future = self.ended.get(timeout=connection.LOOK)
            except queue.Empty:
                continue
            if future not in self.running:
                continue
            task, _ = self.running.pop(future)
            if (result := self._result(future, task)) is not None:
                yield task, result[0]

    def _result(self, future: Any, task: Task[Any]) -> tuple[Any] | None:
        """Return what a task has returned; None if it has failed, and was given to another worker."""
        from distributed import CancelledError, KilledWorker

        try:
            worker, result = future.result()
        except (CancelledError, KilledWorker) as error:
            raise _LostTaskError(task, error) from error
        except Exception as error:
            self._failed(future, task, error)
            return None
        self.crew.succeeded(worker)
        self.failures.pop(task, None)
        future.release()  # the scheduler forgets it, so that only what is in flight is ever done twice
        return (result,)

    def _start(self, task: Task[Any]) -> None:
        """Give a task to a worker that has not tried it, if possible to one that is not sick."""
        tried = self.failures.get(task, {})
        chosen = [name for name in self.crew.fit if name not in tried]
        chosen = chosen or [name for name in self.crew.slots if name not in tried]
        anywhere = len(chosen) == len(self.crew.slots)  # one that joins now may have it, too
        future = self.submit(task, **({} if anywhere else {"workers": chosen}))
        self.running[future] = task, frozenset() if anywhere else frozenset(chosen)
        future.add_done_callback(self.ended.put)

    def _failed(self, future: Any, task: Task[Any], error: Exception) -> None:
        """Note on which worker a task has failed, say the first time, and give the task to another one."""
        worker, reason = self._whose(future, task, error)
        tried = self.failures.setdefault(task, {})
        if worker in tried:  # it was asked not to try again
            raise _LostTaskError(task, error, tried) from error
        if worker not in self.told:
            print(f"worker {worker} cannot compute {task.name}: {reason}", file=sys.stderr)
        self.told.add(worker)
        tried[worker] = reason
        self.crew.failed(worker)
        self._look(now=True)
        self._start_again(task, error)

    def _whose(self, future: Any, task: Task[Any], error: Exception) -> tuple[str, str]:
        """Return the worker on which a task has failed, and the reason."""
        if isinstance(error, TaskError):
            return error.args[0], error.args[1]
        key = future.key  # it failed before the task began, because earmark is not installed there for instance
        try:
            found = self.client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks[key].erred_on))
        except Exception as silent:
            raise _LostTaskError(task, silent) from silent
        return found[0] if found else "of unknown address", told(error)

    def _look(self, now: bool = False) -> None:
        """See which workers are there; a task whose chosen workers have all gone is given to others."""
        try:
            self.crew.look(now)
        except Exception as silent:  # the scheduler does not answer
            raise _LostTaskError(None, silent) from silent
        gone = [f for f, (_, chosen) in self.running.items() if chosen and not chosen & self.crew.slots.keys()]
        for future in gone:
            task, _ = self.running.pop(future)
            future.cancel()
            self._start_again(task)

    def _start_again(self, task: Task[Any], reason: Exception | None = None) -> None:
        """Give a task to another worker, now or when there is one. Raises _LostTaskError if all have tried it."""
        tried = self.failures.get(task, {})
        if not self.crew.slots:
            self.waiting.appendleft(task)
        elif tried.keys() >= self.crew.slots.keys():
            raise _LostTaskError(task, reason, tried) from reason
        else:
            self._start(task)


class _LostTaskError(Exception):
    """A task that no worker can do, the error, and the reason on each worker that has tried."""

    def __init__(
        self, task: Task[Any] | None, reason: Exception | None, failures: dict[str, str] | None = None
    ) -> None:
        super().__init__(task, reason, failures)
        self.task, self.reason, self.failures = task, reason, failures or {}


def _kept(finished: int, total: int) -> str:
    return f"; {finished} of {total} shards are finished and kept; run the stage again to go on"


def _explained(lost: _LostTaskError, address: str, kept: str) -> str:
    """Return the text of an error: what went wrong, with which task, and what is kept."""
    from distributed import KilledWorker

    name = "" if lost.task is None else lost.task.name
    if lost.failures:
        reasons = "; ".join(f"on {worker}: {reason}" for worker, reason in lost.failures.items())
        return f"{name}: {reasons}; no other worker is there to try it{kept}"
    if isinstance(lost.reason, KilledWorker):
        return f"{name}: {RETRIES + 1} workers died while they computed it, of lack of memory perhaps{kept}"
    return f"{address}: the scheduler has gone away{kept}"
