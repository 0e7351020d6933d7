"""What a command takes while it runs: seconds, the memory of it and its children together, the disk of a folder."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from earmark.errors import EarmarkError

EVERY = 0.2  # seconds between two looks at the memory
_LOOKS = 10  # at the memory for one at the disk


@dataclass(frozen=True)
class Taken:
    """What a command took. rss: the peak over all of its processes of their resident memory without files, in bytes.

    disk: bytes below the folder when it had ended, each file once whatever its names; peak: the most while it ran.
    """

    seconds: float
    rss: int
    disk: int
    peak: int


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], apart: Path) -> Taken:
    """Run a command in a folder, and measure it. apart: a folder below it that does not count.

    Raises EarmarkError, with the end of what it said, if it fails.
    """
    start = time.perf_counter()
    log = folder / "rehearsal.log"
    most = {"rss": 0, "disk": 0}
    with log.open("ab") as said:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=said, stderr=said)
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, folder, apart, over, most))
        watcher.start()
        try:
            code = process.wait()
        finally:
            over.set()
            watcher.join()
    seconds = time.perf_counter() - start
    if code != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise EarmarkError(f"`{' '.join(command)}` ended with {code}; {log} ends with:\n{end}")
    disk = used(folder, apart)
    return Taken(seconds, most["rss"], disk, max(disk, most["disk"]))


def _watch(process: int, folder: Path, apart: Path, over: threading.Event, most: dict[str, int]) -> None:
    looks = 0
    while not over.wait(EVERY):
        most["rss"] = max(most["rss"], resident(process))
        if looks % _LOOKS == 0:
            most["disk"] = max(most["disk"], used(folder, apart))
        looks += 1


def resident(process: int) -> int:
    """Return the resident memory of a process and its children, without mapped files: these the system takes back."""
    try:
        parent = psutil.Process(process)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(_without_files(one.pid) for one in family)


def _without_files(process: int) -> int:
    try:
        told = Path(f"/proc/{process}/status").read_text()
    except OSError:
        try:  # no Linux: files count
            return int(psutil.Process(process).memory_info().rss)
        except psutil.Error:
            return 0
    lines = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    return sum(1024 * int(lines[key].split()[0]) for key in ("RssAnon", "RssShmem") if key in lines)


def used(folder: Path, apart: Path) -> int:
    """Return the bytes that the files below a folder take, one with several names once."""
    seen: dict[tuple[int, int], int] = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(place, name) != apart]
        for name in files:
            try:
                state = Path(place, name).lstat()
            except OSError:  # renamed meanwhile
                continue
            seen[state.st_dev, state.st_ino] = state.st_blocks * 512
    return sum(seen.values())
