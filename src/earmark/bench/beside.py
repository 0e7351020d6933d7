"""A benchmark on a quiet machine and beside busy processes, in turn: how much of its speed is left."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earmark.bench.spectral import summary

_LOOP = "while True: pass"
_BEGIN = "import sys; from earmark import waiting; from earmark.cli import main; sys.exit(main(sys.argv[1:]))"


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep some cores busy by endless loops."""
    running = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def bench(arguments: Sequence[str], *, beside: int, rounds: int) -> dict[str, Any]:
    """Run ``earmark bench`` with some arguments, quiet and beside busy processes, in ``rounds`` alternations.

    Return the seconds of each as a JSON-ready dict: per clip of a transform, per step of a training.
    """
    quiet: dict[str, list[float]] = {}
    loaded: dict[str, list[float]] = {}
    for _ in range(rounds):
        for found, processes in ((quiet, 0), (loaded, beside)):
            with busy(processes):
                for name, seconds in _seconds(_once(arguments)).items():
                    found.setdefault(name, []).append(seconds)
    return {
        "kind": arguments[0], "beside": beside,
        "rows": {
            name: {
                "quiet": summary(quiet[name]), "beside": summary(loaded[name]),
                "kept": statistics.median(a / b for a, b in zip(quiet[name], loaded[name], strict=True)),
            }
            for name in quiet
        },
    }  # fmt: skip


def _once(arguments: Sequence[str]) -> dict[str, Any]:
    """Run one benchmark in a process of its own, which chooses how its threads wait."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, "-c", _BEGIN, "bench", *arguments, "--rounds", "3", "--json", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return dict(json.loads(path.read_text()))


def _seconds(result: dict[str, Any]) -> dict[str, float]:
    return {name: row["median"] for name, row in result["rows"].items()}


def table(result: dict[str, Any]) -> str:
    """Return the result of ``bench`` as text."""
    lines = [f"{result['kind']}: quiet, and beside {result['beside']} endless loops"]
    for name, row in result["rows"].items():
        quiet, beside = (1e3 * row[key]["median"] for key in ("quiet", "beside"))
        lines.append(f"  {name:20} {quiet:>9.2f} ms {beside:>9.2f} ms   {row['kept']:.0%} of its quiet speed")
    return "\n".join(lines) + "\n"
