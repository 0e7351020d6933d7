"""The rows of the report's tables, and their headers: experiments, pairs of them, cross-validations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.evaluation.comparison import Difference
from earmark.files import read_json

EXPERIMENTS = ("experiment", "ROC-AUC", "95 % interval", "PR-AUC", "tags", "clips", "songs", "parameters", "epochs")
PAIRS = ("better", "worse", "difference", "95 % interval", "ahead in", "clips", "distinct")
CROSSVALIDATIONS = ("cross-validation", "accuracy", "folds", "raw", "clips", "groups", "epochs")

Row = tuple[str, ...]
Metrics = Mapping[str, Any]


def experiments(folder: Path, names: Sequence[str]) -> list[Row]:
    """Return a row of EXPERIMENTS per name, the highest ROC-AUC first; ``folder`` holds the JSON files."""
    found = _read(folder, names, lambda metrics: -metrics["test"]["roc_auc"]["macro"])
    return [_experiment(name, metrics) for name, metrics in found]


def crossvalidations(folder: Path, names: Sequence[str]) -> list[Row]:
    """Return a row of CROSSVALIDATIONS per name, the highest normalised accuracy first; ``folder`` as above."""
    found = _read(folder, names, lambda metrics: -metrics["accuracy"]["normalized"])
    return [_crossvalidation(name, metrics) for name, metrics in found]


def pairs(differences: Sequence[Difference]) -> list[Row]:
    """Return a row of PAIRS per pair of experiments, with the better one first; the largest difference is on top.

    >>> pairs([Difference("linear", "cnn", clips=84, difference=-0.05, low=-0.08, high=-0.01, ahead=0.01)])
    [('cnn', 'linear', '0.0500', '+0.0100 to +0.0800', '99 %', '84', 'yes')]
    """
    return [_pair(found) for found in sorted(differences, key=lambda found: -abs(found.difference))]


def _read(folder: Path, names: Sequence[str], key: Callable[[Metrics], float]) -> list[tuple[str, Metrics]]:
    """Return the names with their metrics, sorted by ``key``."""
    found = [(name, read_json(folder / f"{name}.json")) for name in names]
    return sorted(found, key=lambda item: key(item[1]))


def _experiment(name: str, metrics: Metrics) -> Row:
    test, training = metrics["test"], metrics["training"]
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
    )


def _crossvalidation(name: str, metrics: Metrics) -> Row:
    """Return the normalised accuracy (mean, lowest and highest fold), the raw accuracy of all clips, and the counts."""
    accuracy = metrics["accuracy"]
    return (
        name,
        f"{accuracy['normalized']:.4f}",
        f"{accuracy['lowest_fold']:.4f} to {accuracy['highest_fold']:.4f}",
        f"{accuracy['raw']:.4f}",
        str(metrics["clips"]),
        str(metrics["groups"]),
        str(metrics["training"]["epochs"]),
    )


def _pair(found: Difference) -> Row:
    first, second, low, high, ahead = found.first, found.second, found.low, found.high, found.ahead
    if found.difference < 0:
        first, second, low, high, ahead = second, first, -high, -low, 1 - ahead
    return (
        first,
        second,
        f"{abs(found.difference):.4f}",
        f"{low:+.4f} to {high:+.4f}",
        f"{100 * ahead:.0f} %",
        str(found.clips),
        "yes" if found.distinct else "no",
    )
