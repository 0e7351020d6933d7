"""What a decoder may do to its process; each is called there, with the path of a file and what else it takes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from earmark.decode.audio import Decoded, RejectedError, decode_blocks, stored


def process(_: Path) -> int:
    """Which process it is."""
    return os.getpid()


def crash(_: Path, with_signal: int = signal.SIGSEGV) -> None:
    os.kill(os.getpid(), with_signal)


def crash_later(path: Path) -> int:
    """Crash at the first file but one: what a file does to the heap shows at the next one."""
    marker = path.with_name(f"{os.getpid()}")
    if marker.exists():
        crash(path)
    marker.touch()
    return os.getpid()


def leave(_: Path) -> None:
    os._exit(3)


def compute_for_ever(_: Path) -> None:
    while True:
        pass


def sleep_for_ever(_: Path) -> None:
    time.sleep(3600)


def take_all_memory(_: Path) -> int:
    return len([np.empty(1 << 27) for _ in range(1 << 20)])


def fail(_: Path) -> None:
    raise ZeroDivisionError("a header\nof zeros")


def refuse(_: Path) -> None:
    raise RejectedError("no audio frames")


def closed(_: Path, *__: object) -> None:
    raise PermissionError(13, "Permission denied")


def lost(_: Path, *__: object) -> None:
    raise OSError(5, "Input/output error")


def blocks(path: Path, count: int, crash_at: int | None = None) -> Iterator[np.ndarray]:
    """Yield arrays; crash before one of them if another file has been decoded in this process."""
    marker = path.with_name(f"{os.getpid()}")
    for number in range(count):
        if number == crash_at and marker.exists():
            crash(path)
        yield np.full(3, number, np.float32)
    marker.touch()


def by_name(path: Path, *settings: object) -> Decoded:
    """Decode a file, unless its name is what it does to the decoder."""
    end(path)
    return stored(path, *settings)


def end(path: Path) -> None:
    """Do what the first word of a file's name says."""
    bad = {"crash": crash, "hang": compute_for_ever, "memory": take_all_memory}.get(path.name.split("-")[0])
    if bad is not None:
        bad(path)


def blocks_by_name(path: Path, *settings: float) -> Iterator[np.ndarray]:
    """Yield the blocks of a file, unless its name is what it does to the decoder."""
    end(path)
    yield from decode_blocks(path, *settings)
