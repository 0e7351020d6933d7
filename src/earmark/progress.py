"""Progress bars in a terminal, silence elsewhere, and the one line that a stage leaves behind."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm


def bar(total: int, label: str, unit: str) -> tqdm[Any]:
    """A progress bar on standard error that shows itself only in a terminal."""
    return tqdm(total=total, desc=label, unit=unit, disable=None, leave=False, dynamic_ncols=True)


class Stopwatch:
    """Seconds since it was made, and the line that says what a stage did."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def seconds(self) -> float:
        """Wall-clock seconds so far."""
        return time.perf_counter() - self._start

    def report(self, stage: str, clips: int, more: str = "") -> None:
        """Print one line: the stage, its clips, seconds and clips per second."""
        seconds = self.seconds()
        rate = f", {clips / seconds:.1f} clips/s" if clips and seconds > 0 else ""
        print(
            f"{stage}: {clips} clips in {seconds:.1f} s{rate}{'; ' + more if more else ''}", file=sys.stdout, flush=True
        )


def say(stage: str, text: str) -> None:
    """Print one line of a stage that counts no clips."""
    print(f"{stage}: {text}", flush=True)
