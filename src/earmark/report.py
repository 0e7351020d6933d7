"""The table of all experiments, from the metrics files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    "experiment",
    "ROC-AUC",
    "95 % interval",
    "PR-AUC",
    "tags",
    "clips",
    "songs",
    "parameters",
    "epochs",
    "train s",
)


def table(metrics: Path, experiments: Sequence[str]) -> list[tuple[str, ...]]:
    """One row per experiment, best ROC-AUC first; metrics: the folder of the experiments' JSON files."""
    found = [(name, json.loads((metrics / f"{name}.json").read_text(encoding="utf-8"))) for name in experiments]
    found.sort(key=lambda item: -item[1]["test"]["roc_auc"]["macro"])
    return [_row(name, content) for name, content in found]


def _row(name: str, content: dict[str, Any]) -> tuple[str, ...]:
    test, training = content["test"], content["training"]
    roc, tags = test["roc_auc"], test["tags"]
    return (
        name,
        f"{roc['macro']:.4f}",
        f"{roc['low']:.4f} to {roc['high']:.4f}",
        f"{test['pr_auc']['macro']:.4f}",
        f"{tags['defined']} of {tags['defined'] + tags['undefined']}",
        str(test["clips"]),
        str(test["songs"]),
        f"{training['parameters']:,}",
        str(training["epochs"]),
        f"{training['seconds']:.0f}",
    )


def markdown(rows: Sequence[Sequence[str]], header: Sequence[str] = COLUMNS) -> str:
    """A Markdown table that is aligned, so that it reads well in a terminal too; numbers stand right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)]) + "\n"
