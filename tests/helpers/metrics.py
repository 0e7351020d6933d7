"""Metrics of an experiment and of a cross-validation as their stages write them, as far as the report reads them."""

from __future__ import annotations


def tagged(auc: float) -> dict[str, object]:
    return {
        "test": {
            "roc_auc": {"macro": auc, "low": auc - 0.05, "high": auc + 0.04, "micro": 0.8},
            "pr_auc": {"macro": 0.5},
            "tags": {"defined": 12, "undefined": 1},
            "clips": 84,
            "songs": 42,
        },
        "training": {"parameters": 7776306, "epochs": 14},
    }


def classified(accuracy: float) -> dict[str, object]:
    found = {"normalized": accuracy, "raw": 0.59, "lowest_fold": accuracy - 0.1, "highest_fold": accuracy + 0.2}
    return {"accuracy": found, "clips": 369, "groups": 126, "training": {"folds": 3, "epochs": 18, "parameters": 7}}
