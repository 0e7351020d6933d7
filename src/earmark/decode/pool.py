"""Files are decoded in processes of their own: one that crashes the decoder, or hangs it, costs itself alone.

The processes are plain children, not those of ``multiprocessing``: they may be started from a daemon, such as a worker
of Dask, and they import neither the user's script nor torch. They are kept for the next file, and end with this
process, however it ends.
"""

from __future__ import annotations

import atexit
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from earmark.decode.reader import DiskError, RejectedError
from earmark.decode.worker import DISK, END, FAILED, ITEM, LAST, MEMORY, REJECTED, SHARED, receive, send, shared_file
from earmark.environment import count
from earmark.errors import EarmarkError
from earmark.storage import memory

T = TypeVar("T")

# What decoding may take, a hundred times and more what it takes: seconds of computing, for any file and for each
# megabyte of it (an MP3 needs 0.1 s for one, at 32 kb/s 0.4 s), and so many times as long by the clock, for the machine
# may be busy.
SECONDS, PER_MEGABYTE, BUSY = 60.0, 10.0, 2.0
START = 300.0  # seconds that a process may take to start
LEAST = 4 << 30  # bytes of address space that a decoding process may have at least
_LOOKS = 10  # at the clock, in equal parts: one part alone counts if all processes were stopped for an hour (Ctrl-Z)
_START = "import sys; sys.path[:] = {path!r}; import earmark; earmark.__path__ = {package!r}; {serve}"
_SERVE = "from earmark.decode.worker import serve; serve({descriptor}, {memory}, {shared})"


def workers() -> int:
    """Return how many files are decoded at once: EARMARK_WORKERS, at least 1, or the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count("EARMARK_WORKERS", cores)


class Decoders:
    """Processes that decode, for any number of threads: as many as are busy at one time, started when they are needed.

    seconds: of computing that a file may take; None: by its size. busy: so many times as long by the clock.
    """

    def __init__(self, seconds: float | None = None, busy: float = BUSY) -> None:
        self._seconds, self._busy = seconds, busy
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, function: Callable[..., T], path: Path, *more: Any) -> T:
        """Return ``function(path, *more)``, computed in another process; path is made absolute.

        The function is found there by its module, which should import little. What it returns is sent back: arrays
        lose a millisecond per megabyte.

        Raises RejectedError or DiskError if the function does, and RejectedError if it fails, crashes, takes too long
        or needs too much memory.
        """
        (found,) = self.stream(function, path, *more)
        return found

    def stream(self, function: Callable[..., Any], path: Path, *more: Any) -> Iterator[Any]:
        """Yield what ``function(path, *more)`` yields, computed in another process, which waits for the reader.

        Raises RejectedError as ``run`` does.
        """
        seconds = _allowed(path) if self._seconds is None else self._seconds
        limits = seconds, seconds * self._busy
        passed, fresh = 0, False
        while True:
            process = self._take(fresh)
            try:
                for number, item in enumerate(process.answers(function, (path.absolute(), *more), *limits)):
                    if number == passed:  # after a second start the first ones are known
                        passed += 1
                        yield item
                return
            except _EndedError as ended:
                self._end(process)
                if self._closed:
                    raise CancelledError from None
                if process.files == 1 or ended.final:
                    raise RejectedError(str(ended)) from None
                fresh = True  # an earlier file may have damaged the process: once more in one that has seen none
            finally:
                self._give_back(process)

    def _take(self, fresh: bool) -> _Process:
        with self._lock:
            if self._closed:
                raise CancelledError
            if self._idle and not fresh:
                return self._idle.pop()
        process = _Process()
        with self._lock:
            self._all.add(process)
        return process

    def _give_back(self, process: _Process) -> None:
        """Keep a process for the next file, unless it is still busy with one that nobody wants any more."""
        with self._lock:
            keep = process in self._all and not process.busy and len(self._idle) < workers() and not self._closed
            if keep:
                self._idle.append(process)
        if not keep:
            self._end(process)

    def _end(self, process: _Process) -> None:
        with self._lock:
            self._all.discard(process)
        process.end()

    def close(self) -> None:
        """End all processes; who waits for one of them gets CancelledError."""
        with self._lock:
            self._closed = True
            ending, self._all = self._all, set()
        for process in ending:
            process.end()


class _EndedError(Exception):
    """A process that decodes has ended, or must be; final: it would end again."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class _Process:
    """A process that decodes one file at a time. Raises EarmarkError if it does not start."""

    def __init__(self) -> None:
        self.files, self.busy = 0, False
        self.memory = max(LEAST, memory.available() // workers())
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair()
        file = shared_file()
        self._shared = mmap.mmap(file, SHARED)
        serve = _SERVE.format(descriptor=theirs.fileno(), memory=self.memory, shared=file)
        path = [os.path.abspath(folder) for folder in sys.path]  # noqa: PTH100 - it is a list of texts
        package = [os.path.abspath(folder) for folder in sys.modules["earmark"].__path__]  # noqa: PTH100
        with theirs, tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(path=path, package=package, serve=serve)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[theirs.fileno(), file],
                cwd="/", env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            theirs.close()  # so that its end is seen here
            os.close(file)  # what is mapped stays
            self._channel.settimeout(START)
            try:
                receive(self._channel)
            except (EOFError, OSError):
                self.end()
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise EarmarkError(f"the process that decodes does not start ({sys.executable}): {last}") from None

    def answers(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float, by_the_clock: float
    ) -> Iterator[Any]:
        """Yield what a function yields there.

        seconds: of computing, for all of it; by_the_clock: for each answer. Raises RejectedError as the function does,
        and _EndedError.
        """
        self.files += 1
        self.busy = True
        try:
            send(self._channel, (function, arguments, seconds))
            while True:
                self._wait(by_the_clock)
                kind, content = receive(self._channel, self._shared)
                if kind == ITEM:
                    yield content
                elif kind == LAST:
                    self.busy = False
                    yield content
                    return
                elif kind == MEMORY:
                    raise _EndedError(
                        f"needs more than {self.memory / 2**30:.1f} GB of memory; EARMARK_WORKERS=1 gives it the most"
                    )
                else:
                    break
        except (EOFError, OSError):
            raise _EndedError(*self._reason(seconds)) from None
        self.busy = False
        if kind == REJECTED:
            raise RejectedError(content)
        if kind == DISK:
            raise DiskError(content)
        if kind == FAILED:
            raise RejectedError(f"the decoder failed: {content}")
        assert kind == END

    def _wait(self, seconds: float) -> None:
        """Wait for an answer. Raises _EndedError if there is none for so long."""
        self._channel.settimeout(seconds / _LOOKS)
        for _ in range(_LOOKS):
            try:
                self._channel.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                continue
            self._channel.settimeout(None)
            return
        raise _EndedError(f"the decoder did not end within {seconds:g} s", final=True)

    def _reason(self, seconds: float) -> tuple[str, bool]:
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return f"the decoder did not end within {seconds:g} s of computing", True
        if code < 0:
            cause = ": the machine's memory may have run out" if code == -signal.SIGKILL else ""
            return f"the decoder crashed ({signal.Signals(-code).name}{cause})", False
        return f"the decoder crashed (exit code {code})", False

    def end(self) -> None:
        """Kill it, wherever it is."""
        with self._lock:
            if self._process.returncode is None:
                self._process.kill()
                self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._channel.close()


def _allowed(path: Path) -> float:
    """Return how many seconds of computing a file may take."""
    try:
        return round(SECONDS + PER_MEGABYTE * path.stat().st_size / 1e6, 1)
    except OSError:  # decoding says what is the matter with it
        return SECONDS


_shared: list[Decoders] = []
_sharing = threading.Lock()


def shared() -> Decoders:
    """Return the processes of this process, which all that decodes here has in common."""
    with _sharing:
        if not _shared:
            _shared.append(Decoders())
        return _shared[0]


def close() -> None:
    """End the processes that are shared; the next file starts others."""
    with _sharing:
        ending = [*_shared]
        _shared.clear()
    for decoders in ending:
        decoders.close()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.clear)  # they are the parent's


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads that have files decoded; an error, or Ctrl-C, ends what they wait for, and nothing more is begun."""
    with ThreadPoolExecutor(number) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            close()
            raise
