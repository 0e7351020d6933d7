"""The command `earmark papers`: published systems one after another, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

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
    return max([_in_a_process(command, name) for name in wanted])


def _in_a_process(command: list[str], name: str) -> int:
    """Run a command for one system. Return its exit code; print a line if it had no chance to say why it ended."""
    code = subprocess.run([*command, name], check=False).returncode
    if code < 0:
        print(f"{name}: killed by signal {-code}{', of lack of memory perhaps' if code == -9 else ''}", file=sys.stderr)
    return abs(code)
