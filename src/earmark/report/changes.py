"""What differs from the last commit: the figures of the experiments here beside those that git holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.evaluation.details import read_metrics
from earmark.report.parts import Section, Table

FIGURES = ("roc_auc", "pr_auc")
COLUMNS = ("experiment", "what", "ROC-AUC, committed", "here", "change", "PR-AUC, committed", "here", "change")

Figures = Mapping[str, Mapping[str, float]]


def section(metrics: Path) -> Section:
    """Return the part of the page on what changed since the last commit. metrics: the folder of all metrics.

    Without git, or before the first commit, the part says so.
    """
    here = {file.stem: read_metrics(file) for file in sorted((metrics / "experiments").glob("*.json"))}
    try:
        committed, name = _committed(metrics / "experiments")
    except EarmarkError as error:
        return Section("changes", "Since the last commit", [str(error)])
    rows = differences(committed, here)
    told = f"Against the last commit, {name}" + (":" if rows else ": no experiment has other figures.")
    found = [Table("Experiments whose figures differ", COLUMNS, rows)] if rows else []
    more = "`dvc status` tells what has not run yet, `earmark compare HEAD` whether a difference is more than chance."
    return Section("changes", "Since the last commit", [told, more], found=found)


def differences(committed: Figures, here: Figures) -> list[list[str]]:
    """Return a row of COLUMNS for each experiment that is new, gone, or has other figures.

    >>> differences({"a": {"roc_auc": 0.8, "pr_auc": 0.5}}, {"a": {"roc_auc": 0.81, "pr_auc": 0.5}})
    [['a', 'changed', '0.8000', '0.8100', '+0.0100', '0.5000', '0.5000', '+0.0000']]
    """
    rows = []
    for name in sorted({*committed, *here}):
        before, now = committed.get(name), here.get(name)
        if before != now:
            what = "new" if before is None else "gone" if now is None else "changed"
            rows.append([name, what, *(cell for key in FIGURES for cell in _cells(before or {}, now or {}, key))])
    return rows


def _cells(before: Mapping[str, float], now: Mapping[str, float], key: str) -> list[str]:
    both = key in before and key in now
    shown = [f"{one[key]:.4f}" if key in one else "" for one in (before, now)]
    return [*shown, f"{now[key] - before[key]:+.4f}" if both else ""]


def _committed(folder: Path) -> tuple[Figures, str]:
    """Return the figures by experiment that the last commit holds, and how it is called for a reader."""
    head = _git(folder, "log", "-1", "--format=%h (%s)").strip()
    names = [line for line in _git(folder, "ls-tree", "-z", "--name-only", "HEAD", "./").split("\0") if line]
    found = {}
    for name in names:
        if name.endswith(".json"):
            try:
                content = json.loads(_git(folder, "show", f"HEAD:./{name}"))
            except ValueError:
                continue  # a broken file of the past hinders nothing
            if isinstance(content, dict):
                found[Path(name).stem] = content
    return found, head


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder. Raises EarmarkError with its first line if it refuses."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        raise EarmarkError("Nothing to compare with: git, or the folder metrics/experiments, is not here.") from None
    if done.returncode:
        raise EarmarkError(f"Nothing to compare with: {next(iter(done.stderr.splitlines()), 'git failed')}")
    return done.stdout
