"""The rows of the report's tables, and their headers: experiments, pairs of them, cross-validations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.evaluation.comparison import Difference
from earmark.evaluation.details import read_metrics, trainings_of
from earmark.evaluation.experiment import headline
from earmark.report.fusions import Fused

EXPERIMENTS = (
    "experiment", "ROC-AUC", "deviation", "95 % interval", "PR-AUC", "tags", "clips", "songs", "seeds", "parameters",
    "epochs",
)  # fmt: skip
PAIRS = ("better", "worse", "difference", "95 % interval", "ahead in", "p", "clips", "distinct", "after Holm")
CROSSVALIDATIONS = ("cross-validation", "accuracy", "folds", "raw", "clips", "groups", "epochs")

Row = tuple[str, ...]
Metrics = Mapping[str, Any]


def experiments(metrics: Path, names: Sequence[str], fusions: Mapping[str, Fused] | None = None) -> list[Row]:
    """Return a row of EXPERIMENTS per name, ensemble of several seeds and fusion; the highest ROC-AUC first.

    metrics: the folder that has JSON files in ``experiments`` (the figures that are compared) and ``details`` (all).
    The deviation is that of the ROC-AUC over the seeds.
    """
    found: list[tuple[float, Row]] = []
    for name in names:
        figures = read_metrics(metrics / "experiments" / f"{name}.json")
        details = read_metrics(metrics / "details" / f"{name}.json")
        trainings = trainings_of(details)
        found.append((figures["roc_auc"], _experiment(name, figures, details["test"], trainings)))
        if ensemble := details["test"].get("ensemble"):
            title = f"{name}, ensemble of {len(trainings)}"
            found.append((ensemble["roc_auc"], _experiment(title, ensemble, details["test"], trainings, whole=True)))
    for name, fusion in (fusions or {}).items():
        networks = [training for each in fusion.trainings for training in each]
        title, figures = f"{name}, fusion of {len(fusion.trainings)}", headline(fusion.test)
        *first, _, parameters, epochs = _experiment(title, figures, fusion.test, networks, whole=True)
        seeds = _span([len(each) for each in fusion.trainings])
        found.append((figures["roc_auc"], (*first, seeds, parameters, epochs)))
    return [row for _, row in sorted(found, key=lambda item: -item[0])]


def crossvalidations(folder: Path, names: Sequence[str]) -> list[Row]:
    """Return a row of CROSSVALIDATIONS per name, the highest normalised accuracy first; ``folder`` as above."""
    found = _read(folder, names, lambda metrics: -metrics["accuracy"]["normalized"])
    return [_crossvalidation(name, metrics) for name, metrics in found]


def pairs(differences: Sequence[Difference]) -> list[Row]:
    """Return a row of PAIRS per pair of experiments, with the better one first; the largest difference is on top.

    >>> pairs([Difference("linear", "cnn", 84, -0.05, low=-0.08, high=-0.01, ahead=0.01, p=0.012, settled=True)])
    [('cnn', 'linear', '0.0500', '+0.0100 to +0.0800', '99 %', '0.012', '84', 'yes', 'no')]
    """
    return [_pair(found) for found in sorted(differences, key=lambda found: -abs(found.difference))]


def _read(folder: Path, names: Sequence[str], key: Callable[[Metrics], float]) -> list[tuple[str, Metrics]]:
    """Return the names with their metrics, sorted by ``key``."""
    found = [(name, read_metrics(folder / f"{name}.json")) for name in names]
    return sorted(found, key=lambda item: key(item[1]))


def _experiment(name: str, figures: Metrics, test: Metrics, trainings: Sequence[Metrics], whole: bool = False) -> Row:
    """Return the row of an experiment, or of the ensemble of its seeds as a whole, which has the parameters of all."""
    tags, epochs = test["tags"], [training["epochs"] for training in trainings]
    parameters = [training["parameters"] for training in trainings]
    return (
        name,
        f"{figures['roc_auc']:.4f}",
        f"{figures['deviation']:.4f}" if "deviation" in figures else "",
        f"{figures['low']:.4f} to {figures['high']:.4f}",
        f"{figures['pr_auc']:.4f}",
        f"{tags['defined']} of {tags['defined'] + tags['undefined']}",
        str(test["clips"]),
        str(test["songs"]),
        str(len(trainings)),
        f"{sum(parameters) if whole else parameters[0]:,}",
        _span(epochs),
    )


def _span(values: Sequence[int]) -> str:
    """Return a number that is the same for all, or the lowest and the highest."""
    return str(values[0]) if len(set(values)) == 1 else f"{min(values)} to {max(values)}"


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
        "< 0.0001" if found.p < 1e-4 else f"{found.p:.2g}",
        str(found.clips),
        found.distinct,
        "yes" if found.holm else "no",
    )
