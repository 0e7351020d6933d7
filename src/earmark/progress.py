"""Progress bars in a terminal, silence elsewhere, and the one line that a stage leaves behind."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from earmark.environment import verbosity

T = TypeVar("T")


def bar(total: int, label: str, unit: str) -> tqdm[Any]:
    """Return a progress bar on standard error: how many of ``total``, how many per second, and the time that is left.

    It shows itself only in a terminal, and not if only results are wanted.
    """
    hidden = True if verbosity() == "quiet" else None  # None: shown in a terminal
    return tqdm(total=total, desc=label, unit=unit, disable=hidden, leave=False, dynamic_ncols=True)


def counted(items: Collection[T], label: str, unit: str) -> Iterator[T]:
    """Yield the items, with a ``bar`` of those that are done."""
    with bar(len(items), label, unit) as shown:
        for item in items:
            yield item
            shown.update()


def in_terminal() -> bool:
    """Tell whether somebody wants to see on standard error what goes on: in a terminal, unless it shall be quiet."""
    return sys.stderr.isatty() and verbosity() != "quiet"


def detail(text: str) -> None:
    """Print a line on standard error if more is wanted than usual: what is used, and how long something took."""
    if verbosity() in ("verbose", "debug"):
        line(text)


def show(text: str) -> None:
    """Print a line on standard output that stays; bars on standard error move on below it."""
    tqdm.write(text, file=sys.stdout)


def line(text: str) -> None:
    """Print a line on standard error that stays; bars move on below it."""
    tqdm.write(text, file=sys.stderr)


def clock_time(seconds: float) -> str:
    """Return a duration as bars show it.

    >>> clock_time(65.4)
    '01:05'
    """
    return tqdm.format_interval(seconds)


def logs() -> Path:
    """Return the folder of the logs: EARMARK_LOGS, by default data/logs. Neither git nor DVC looks at it."""
    return Path(os.environ.get("EARMARK_LOGS") or "data/logs")


class Stopwatch:
    """Seconds since it was made, and the line that says what a stage did."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        """Wall-clock seconds so far."""
        return time.perf_counter() - self._start

    def report(self, stage: str, clips: int, more: str = "", **facts: object) -> None:
        """Print one line, the stage, its clips, seconds and clips per second, and ``log`` the same with ``facts``.

        stage: its name and, after a space, that of its item.
        """
        seconds = self.seconds()
        rate = f", {clips / seconds:.1f} clips/s" if clips and seconds > 0 else ""
        say(stage, f"{clips} clips in {seconds:.1f} s{rate}{'; ' + more if more else ''}")
        name, _, item = stage.partition(" ")
        log(name, item, seconds=round(seconds, 3), clips=clips, **facts)


def log(stage: str, name: str, **facts: object) -> None:
    """Append one JSON line to <stage>.jsonl in ``logs()``: what took how long, where and when.

    No result may hold a time, or the same run would give other bytes; so times stand here, and neither git nor DVC
    looks at them. A folder that cannot be written costs the line, and a warning, but never the stage.
    """
    folder = logs()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"stage": stage, "name": name, **facts, "host": socket.gethostname(), "when": when})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{stage}.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        print(f"warning: {stage} {name}: the time is not logged in {folder} ({error})", file=sys.stderr)


def say(stage: str, text: str) -> None:
    """Print one line of a stage, unless only results are wanted."""
    if verbosity() != "quiet":
        print(f"{stage}: {text}", flush=True)
