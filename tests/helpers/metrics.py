"""Metrics of an experiment and of a cross-validation as their stages write them, as far as the report reads them."""

from __future__ import annotations

from pathlib import Path

from earmark.evaluation.details import details
from earmark.files import write_json


def tagged(folder: Path, name: str, auc: float, seeds: int = 1) -> None:
    """Write ``folder``/experiments and ``folder``/details of an experiment that was trained from so many seeds."""
    figures = {"roc_auc": auc, "low": auc - 0.05, "high": auc + 0.04, "pr_auc": 0.5}
    training = {"parameters": 7776306, "epochs": 14, "seeded": True, "valid_roc_auc": auc}
    test: dict[str, object] = {
        "roc_auc": {"macro": auc, "low": auc - 0.05, "high": auc + 0.04, "micro": 0.8},
        "pr_auc": {"macro": 0.5},
        "tags": {"defined": 12, "undefined": 1},
        "clips": 84,
        "songs": 42,
        "seeds": seeds,
    }
    if seeds > 1:
        figures["deviation"] = 0.0123
        test["ensemble"] = {"roc_auc": auc + 0.02, "low": auc, "high": auc + 0.04, "pr_auc": 0.6}
    several = {number: training | {"epochs": 14 - number} for number in range(seeds)}
    write_json(folder / f"experiments/{name}.json", figures)
    write_json(folder / f"details/{name}.json", details(test, several))


def classified(accuracy: float) -> dict[str, object]:
    found = {"normalized": accuracy, "raw": 0.59, "lowest_fold": accuracy - 0.1, "highest_fold": accuracy + 0.2}
    return {"accuracy": found, "clips": 369, "groups": 126, "training": {"folds": 3, "epochs": 18, "parameters": 7}}
