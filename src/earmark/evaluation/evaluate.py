"""All that is measured on the scores of a split: AUCs with an interval, rates at thresholds, the mean ROC curve."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from earmark.evaluation import metrics
from earmark.evaluation.bootstrap import bootstrap_macro_roc_auc, interval, resample
from earmark.evaluation.metrics import Array

TAG_COLUMNS = ("tag", "positives", "roc_auc", "pr_auc", "threshold")
FPR_GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Evaluation:
    """What is measured on a split.

    summary: AUCs and rates by name, nested as in the metrics files; ``roc_auc`` has ``macro`` with its 95 % interval,
    ``low`` and ``high``. tags: a row of TAG_COLUMNS per tag. roc: points (false positive rate, true positive rate) of
    the ROC curve, averaged over the tags.
    """

    summary: dict[str, Any]
    tags: list[list[object]]
    roc: list[list[float]]


def evaluate(
    scores: ArrayLike,
    targets: ArrayLike,
    songs: Sequence[Hashable] | NDArray[Any],
    tags: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 1,
    thresholds: Array | None = None,
) -> Evaluation:
    """Measure scores against targets, with a 95 % interval of the mean ROC-AUC by bootstrap over songs.

    scores: probabilities (clips, tags). targets: (clips, tags) in {0, 1}. songs: (clips,), the name or the number of
    each clip's song. tags: their names (default: their numbers). resamples, seed: of the bootstrap; the same ones give
    the same interval. thresholds: (tags,), chosen on the validation split; their rates are reported, too.

    Raises EvaluationError if the shapes differ, if no tag has both classes, or if a score is not finite.

    >>> scores = [[0.9, 0.2], [0.4, 0.7], [0.1, 0.8]]
    >>> evaluate(scores, [[1, 0], [0, 1], [0, 0]], songs=["a", "b", "c"]).summary["roc_auc"]["macro"]
    0.75
    """
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
    names = [str(tag) for tag in range(targets.shape[-1])] if tags is None else list(tags)
    _require_same_clips(scores, targets, songs, names)
    metrics.check_finite(scores, names)
    metrics.require_defined(targets)
    drawn = resample(songs, resamples, seed)
    roc, pr = metrics.per_tag(scores, targets)
    low, high = interval(bootstrap_macro_roc_auc(scores, targets, drawn))
    mask = metrics.defined(targets)
    summary: dict[str, Any] = {
        "roc_auc": {
            "macro": float(np.nanmean(roc)),
            "low": low,
            "high": high,
            "micro": float(roc_auc_score(targets[:, mask].ravel(), scores[:, mask].ravel())),
        },
        "pr_auc": {"macro": float(np.nanmean(pr))},
        "half": metrics.at_half(scores, targets),
        "equal_error": _at_thresholds(scores, targets, thresholds),
        "tags": {"defined": int(mask.sum()), "undefined": int((~mask).sum())},
        "clips": len(targets),
        "songs": len(drawn.counts),
    }
    if thresholds is None:
        thresholds = np.full(len(names), np.nan)
    columns = names, targets.sum(axis=0).astype(int), roc, pr, thresholds
    rows: list[list[object]] = [
        [tag, int(positives), *map(_cell, values)] for tag, positives, *values in zip(*columns, strict=True)
    ]
    return Evaluation(summary, rows, _mean_curve(scores[:, mask], targets[:, mask]))


def _require_same_clips(
    scores: Array, targets: NDArray[Any], songs: Sequence[Hashable] | NDArray[Any], tags: Sequence[str]
) -> None:
    """Raise EvaluationError if the inputs are not of the same clips and tags."""
    if scores.ndim != 2 or scores.shape != targets.shape or scores.shape != (len(songs), len(tags)):
        raise metrics.EvaluationError(
            "scores and targets must be (clips, tags), with a song per clip and a name per tag, got "
            f"{scores.shape} and {targets.shape}, {len(songs)} songs and {len(tags)} names"
        )


def _at_thresholds(scores: Array, targets: NDArray[Any], chosen: Array | None) -> dict[str, dict[str, float]]:
    """Return the rates at the equal-error thresholds of these clips, and at those that were chosen before, if any."""
    found = {"chosen_on_test": metrics.rates(scores, targets, metrics.equal_error_thresholds(scores, targets))}
    return found if chosen is None else found | {"chosen_on_valid": metrics.rates(scores, targets, chosen)}


def _mean_curve(scores: Array, targets: NDArray[Any]) -> list[list[float]]:
    """Return the mean of the tags' ROC curves at the false positive rates FPR_GRID, as (fpr, tpr) points."""
    curves = []
    for tag in range(targets.shape[1]):
        fpr, tpr, _ = roc_curve(targets[:, tag], scores[:, tag])
        curves.append(np.interp(FPR_GRID, fpr, tpr))
    return [[round(float(x), 4), round(float(y), 6)] for x, y in zip(FPR_GRID, np.mean(curves, axis=0), strict=True)]


def _cell(value: float) -> object:
    """Return a value as a cell of the table of tags, which is empty for NaN."""
    return "" if np.isnan(value) else round(float(value), 6)
