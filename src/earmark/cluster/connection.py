"""The scheduler that EARMARK_CLUSTER names, and the workers that it has."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earmark import progress
from earmark.cluster.worker import About, difference, told
from earmark.errors import EarmarkError

PATIENCE = 60  # seconds to wait for a scheduler, and for its first worker
LOOK = 5.0  # seconds after which to see again which workers are there
SICK = 3  # failures in a row after which a worker gets nothing that another one could do

_ABSENT = re.compile("(Import|ModuleNotFound|Attribute)Error")  # as text: Dask wraps them


def address() -> str | None:
    """Return the scheduler's address, ``tcp://host:port`` or ``tls://host:port``; None if there is no cluster."""
    return os.environ.get("EARMARK_CLUSTER") or None


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler, by TLS with the certificates of Dask's own configuration.

    Raises EarmarkError if there is no scheduler, if Dask is not installed, or if the certificates are missing.
    """
    try:
        from distributed import Client
    except ImportError:
        raise EarmarkError(f"EARMARK_CLUSTER={address} needs earmark[distributed]: pip install distributed") from None
    _check_certificates(address)
    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [log.level for log in logs]
    for log in logs:  # they report a lost connection many times; the error says it once
        log.setLevel(logging.CRITICAL)
    try:
        try:
            client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise EarmarkError(f"EARMARK_CLUSTER: no scheduler answers at {address} ({error})") from None
        try:
            yield client
        finally:
            client.close(timeout=5)  # type: ignore[no-untyped-call]
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def _check_certificates(address: str) -> None:
    """Raise EarmarkError if an address of TLS is to be reached without certificates: Dask would say a type is wrong."""
    import dask

    if not address.startswith("tls://"):
        return
    for key in ("ca-file", "client.cert", "client.key"):
        name, setting = f"distributed.comm.tls.{key}", f"DASK_{f'distributed.comm.tls.{key}'.replace('.', '__')}"
        variable = setting.replace("-", "_").upper()
        value = dask.config.get(name, None)
        if not value and key != "client.key":  # the certificate's file may hold the key, too
            raise EarmarkError(
                f"EARMARK_CLUSTER={address} needs {name} in Dask's configuration, or {variable}: the file of a "
                "certificate"
            )
        if value and "\n" not in value and not Path(value).is_file():  # it may be the certificate itself
            raise EarmarkError(f"{name} (or {variable}) must name a file, got {value!r}")


class Crew:
    """The workers that may be given tasks, as they come and go.

    resources: what a worker must declare. A worker takes as many tasks at a time as it has of them, or has threads.
    """

    def __init__(self, client: Any, address: str, resources: dict[str, int]) -> None:
        self.client, self.address, self.resources = client, address, resources
        self.slots: dict[str, int] = {}
        self._in_a_row: dict[str, int] = {}  # failures of each worker since it last finished a task
        self._looked = -LOOK
        self._said = False

    def look(self, now: bool = False) -> None:
        """See which workers are there, if it is time or ``now``."""
        if now or time.monotonic() - self._looked >= LOOK:
            self.slots = slots(self.client, self.resources)
            self._looked = time.monotonic()
            if not self.slots and not self._said:
                progress.line(f"{self.address}: no worker is left; waiting for one to join")
            self._said = not self.slots

    def succeeded(self, worker: str) -> None:
        """Note that a worker has finished a task."""
        self._in_a_row.pop(worker, None)

    def failed(self, worker: str) -> None:
        """Note that a worker has failed at a task."""
        self._in_a_row[worker] = self._in_a_row.get(worker, 0) + 1

    @property
    def fit(self) -> list[str]:
        """The workers that get new tasks: all but the sick ones; all if there are no others."""
        return [worker for worker in self.slots if self._in_a_row.get(worker, 0) < SICK] or [*self.slots]

    @property
    def room(self) -> int:
        """How many tasks they take at a time."""
        return sum(self.slots[worker] for worker in self.fit)


def slots(client: Any, resources: dict[str, int]) -> dict[str, int]:
    """Return how many tasks each worker takes at a time that declares these resources."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    found = {}
    for name, about in workers.items():
        declared = about.get("resources") or {}
        if resources.keys() <= declared.keys():
            found[name] = max(1, min([about["nthreads"], *(int(declared[key] / resources[key]) for key in resources)]))
    return found


def choose_workers(
    client: Any, address: str, about: About, on_gpus: bool, like: tuple[str, str] | None
) -> tuple[dict[str, int], str]:
    """Return the resources that a task takes, and the makers of the workers.

    on_gpus: only workers that declare GPUs are used, if any does. like: code and makers that all must have; None: the
    code that is here, and all the same makers. A worker may be there that cannot tell its makers, because its GPU is
    broken for instance: the tasks that it takes go to others. Raises EarmarkError if there is no worker, or if the
    workers would compute something else.
    """
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise EarmarkError(f"{address}: no worker has joined in {PATIENCE} s; start `dask worker {address}`") from None
    resources = {"GPU": 1} if on_gpus and slots(client, {"GPU": 1}) else {}
    if resources:
        _mention_idle_gpus(client)
    found: dict[str, Any] = client.run(about, workers=[*slots(client, resources)], on_error="return")
    here = like[0] if like else about()[0]
    makers, silent = set[str](), []
    for worker, answer in found.items():
        if isinstance(answer, Exception) and _ABSENT.search(repr(answer)):
            raise EarmarkError(
                f"{address}: worker {worker} cannot import earmark ({answer}); install this version of it there"
            )
        if isinstance(answer, BaseException):
            silent.append(f"on {worker}: {told(answer)}")
        elif unlike := difference(answer, like or (here, answer[1])):
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


def _mention_idle_gpus(client: Any) -> None:
    """Say so if a worker declares more GPUs than it has threads to use them."""
    for name, about in client.scheduler_info(n_workers=-1)["workers"].items():
        gpus = int((about.get("resources") or {}).get("GPU", 0))
        if gpus > about["nthreads"]:
            progress.line(f"worker {name} declares {gpus} GPUs and uses {about['nthreads']}: --nthreads must be {gpus}")
