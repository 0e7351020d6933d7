"""The command `earmark papers`: published systems one after another, each in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from earmark import progress
from earmark.config import load
from earmark.papers.run import Papers, Rule, chosen
from earmark.systems import published


def train(
    program: Sequence[str],
    names: Sequence[str],
    params: Path,
    labels: str | None,
    rule: Rule,
    minutes: float | None,
    data: Path,
    metrics: Path,
) -> int:
    """Train the systems of those names, or all, and print a line about each result; return the worst exit code.

    program: what Python runs as ``earmark``. The other arguments are those of ``Papers``.

    Raises EarmarkError if a name or a setting is wrong.
    """
    wanted = [system.name for system in chosen(names or list(published.SYSTEMS))]
    papers = Papers.open(load(params), labels, rule, minutes, data, metrics)
    if len(wanted) == 1:
        print(papers.run(wanted[0]), flush=True)
        return 0
    # A process of its own gives all its memory back; one that fails does not stop the others.
    options = {"recipe": rule, "labels": papers.labels, "params": params, "data": data, "metrics": metrics}
    if minutes is not None:
        options["minutes"] = minutes
    written = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    command = [sys.executable, *program, "papers", *written]
    watched = Watched(papers, len(wanted))
    return max([watched.run(name, partial(_in_a_process, command, name)) for name in wanted])


class Watched:
    """How many of some systems are done, and how long the others take: a line for each in a terminal, else nothing.

    clock: returns seconds.
    """

    def __init__(self, papers: Papers, total: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.papers, self.total, self.clock = papers, total, clock
        self.done = 0
        self.seconds: list[float] = []  # of the systems that were trained; one that was done before takes none

    def run(self, name: str, train: Callable[[], int]) -> int:
        """Return what ``train`` returns for a system, and print the line."""
        before, start = self._results(name), self.clock()
        code = train()
        self.done += 1
        if self._results(name) != before:
            self.seconds.append(self.clock() - start)
        if progress.in_terminal():
            progress.line(f"papers: {self.done} of {self.total} systems, {self._rest()}")
        return code

    def _rest(self) -> str:
        left = self.total - self.done
        if not left:
            return "the end"
        if not self.seconds:
            return f"{left} to go"
        return f"{progress.clock_time(left * statistics.median(self.seconds))} left"

    def _results(self, name: str) -> dict[Path, int]:
        """Return when the results of a system were written."""
        return {path: path.stat().st_mtime_ns for path in self.papers.results(name)}


def _in_a_process(command: list[str], name: str) -> int:
    """Run a command for one system. Return its exit code; print a line if it had no chance to say why it ended."""
    code = subprocess.run([*command, name], check=False).returncode
    if code < 0:
        print(f"{name}: killed by signal {-code}{', of lack of memory perhaps' if code == -9 else ''}", file=sys.stderr)
    return abs(code)
