"""How long it takes until a command begins its work: Python itself, the help, the package, what predict imports."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from earmark.bench.spectral import summary

_RUN = "from earmark.cli import main; main({})"
# What is started, and how much of the processor it may take on an idle machine of two cores, in seconds.
STARTED: dict[str, tuple[tuple[str, ...], float | None]] = {
    "python": (("-c", "pass"), None),
    "import earmark": (("-c", "import earmark"), None),
    "earmark --help": (("-c", _RUN.format(["--help"])), 0.15),
    "earmark predict --help": (("-c", _RUN.format(["predict", "--help"])), 0.15),
    "what predict imports": (("-c", "import earmark.predict_files"), 2.5),
}


def bench(*, rounds: int) -> dict[str, Any]:
    """Start each command ``rounds`` times, in turn, and return CPU and wall-clock seconds as a JSON-ready dict.

    A first round, which fills the system's cache of files, is not counted.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STARTED}
    for number in range(rounds + 1):
        for name, (arguments, _) in STARTED.items():
            once = _once(arguments)
            if number:
                found[name].append(once)
    rows = {
        name: {"cpu": summary([cpu for cpu, _ in times]), "wall": summary([wall for _, wall in times])}
        for name, times in found.items()
    }
    return {"kind": "start", "rows": rows}


def _once(arguments: Sequence[str]) -> tuple[float, float]:
    """Run Python with these arguments; return its CPU seconds, and the seconds until it had ended."""
    before, started = _cpu(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return _cpu() - before, time.perf_counter() - started


def _cpu() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(result: dict[str, Any]) -> str:
    """Return the result of ``bench`` as text, medians in seconds."""
    lines = [f"{'':24} {'CPU':>8} {'wall':>8}  limit of CPU on an idle machine"]
    for name, row in result["rows"].items():
        limit = STARTED[name][1]
        told = "" if limit is None else f"  {limit:.2f} s"
        lines.append(f"{name:24} {row['cpu']['median']:>6.2f} s {row['wall']['median']:>6.2f} s{told}")
    return "\n".join(lines) + "\n"
