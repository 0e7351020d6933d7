"""The table of the published systems: what they reach here beside what their papers print, each row with its data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark import systems
from earmark.config import ExperimentConfig
from earmark.report import markdown
from earmark.systems import System

FULL = 20_000  # labelled clips from which a corpus of MagnaTagATune's layout is taken for the whole of it
COLUMNS = (
    "system",
    "parameters, ours",
    "paper",
    "ROC-AUC, ours",
    "95 % interval",
    "paper",
    "measured on",
    "training",
    "s per epoch",
)
INTRODUCTION = """# The published systems

Written by `stages/report.py` from the metrics files, never by hand. The papers' figures are those of MagnaTagATune. A
row says what data ours was measured on: where that is a small corpus, ours cannot be compared with the paper's, but
the rows with each other can.

"Parameters, ours" is the count for the paper's number of outputs, which the tests hold to the paper's; "training" says
by which rule and for how many epochs.
"""


@dataclass(frozen=True)
class Run:
    """One trained system: its name, the content of its metrics file, the corpus and the rule it was trained by."""

    system: str
    content: Mapping[str, Any]
    corpus: str
    rule: str


def corpus_name(kind: str, name: str | None, labels: Mapping[str, Any]) -> str:
    """How a row names its data: a small corpus in MagnaTagATune's layout is not MagnaTagATune."""
    if name is not None:
        return name
    if kind == "magnatagatune":
        return "MagnaTagATune" if labels["clips"] >= FULL else "a corpus in MagnaTagATune's layout"
    return kind


def read_papers(folder: Path) -> list[Run]:
    """What `earmark papers` wrote: ``folder``/<corpus>/<system>.json."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        found.append(Run(path.stem, content, content["corpus"], content["rule"]))
    return found


def read_experiments(folder: Path, experiments: Mapping[str, ExperimentConfig], corpus: str) -> list[Run]:
    """The experiments of params.yaml: ``folder``/<experiment>.json."""
    found = []
    for name, experiment in experiments.items():
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        found.append(Run(experiment.system or name, content, corpus, experiment.preset))
    return found


def document(runs: Iterable[Run]) -> str:
    """The page: a table per paper, in the order of ``systems.SYSTEMS``."""
    by_system: dict[str, list[Run]] = {}
    for run in runs:
        by_system.setdefault(run.system, []).append(run)
    sections: dict[str, list[tuple[str, ...]]] = {}
    for system in systems.SYSTEMS.values():
        rows = [_row(system, run) for run in by_system.get(system.name, [])]
        sections.setdefault(system.source, []).extend(rows or [_row(system, None)])
    parts = [INTRODUCTION, *(f"## {source}\n\n{markdown(rows, COLUMNS)}" for source, rows in sections.items())]
    return "\n".join(parts)


def _row(system: System, run: Run | None) -> tuple[str, ...]:
    printed = system.published.get("roc_auc")
    count = "" if system.parameters is None else f"{system.parameters:,}"
    ours = ("not trained yet", "", "", "", "")
    if run is not None:
        test, training = run.content["test"], run.content["training"]
        roc, epochs = test["roc_auc"], training["epochs"]
        data = f"{run.corpus}: {test['clips']} clips, {test['songs']} songs, {test['tags']['defined']} tags"
        each = f"{training['seconds'] / epochs:.1f}" if epochs else f"{training['seconds']:.1f} in all"
        interval = f"{roc['low']:.3f} to {roc['high']:.3f}"
        ours = (f"{roc['macro']:.3f}", interval, data, f"{run.rule}, {epochs} epochs", each)
    auc, interval, data, training_text, each = ours
    paper = "" if printed is None else f"{printed:.3f}"
    return (system.name, count, system.printed or "", auc, interval, paper, data, training_text, each)
