"""All that is measured on the scores of a split: AUCs with an interval, rates at thresholds, the mean ROC curve."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from earmark.evaluation import metrics
from earmark.evaluation.bootstrap import (
    Measured,
    Resamples,
    bootstrap_macro_roc_auc,
    bootstrap_over_seeds,
    draw_seeds,
    interval,
    interval_over_seeds,
    resample,
)
from earmark.evaluation.metrics import Array

TAG_COLUMNS = ("tag", "positives", "roc_auc", "pr_auc", "threshold")
FPR_GRID = np.linspace(0, 1, 101)
LEAST_ROUNDED = 1e-3  # a threshold this close to 0 or 1 is not rounded to six decimals: few digits would be left


@dataclass(frozen=True)
class Evaluation:
    """What is measured on a split.

    summary: AUCs and rates by name, nested as in the metrics files; ``roc_auc`` has ``macro`` with its 95 % interval,
    ``low`` and ``high``. tags: a row of TAG_COLUMNS per tag. roc: points (false positive rate, true positive rate) of
    the ROC curve, averaged over the tags. With several seeds, all values are means over the seeds.
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
    """Measure scores against targets, with a 95 % interval of the mean ROC-AUC by bootstrap over songs, and over seeds.

    scores: probabilities (clips, tags), or (seeds, clips, tags) by a network that was trained from several seeds.
    targets: (clips, tags) in {0, 1}. songs: (clips,), the name or the number of each clip's song. tags: their names
    (default: their numbers). resamples, seed: of the bootstrap; the same ones give the same interval. thresholds:
    (tags,) or (seeds, tags), chosen on the validation split; their rates are reported, too.

    Several seeds are summed up by the mean over them, the sample ``deviation``, and ``each``. Beside them ``ensemble``
    has the AUCs of the mean scores, whose interval is over songs alone.

    Raises EvaluationError if the shapes differ, if no tag has both classes, or if a score is not finite.

    >>> scores = [[0.9, 0.2], [0.4, 0.7], [0.1, 0.8]]
    >>> evaluate(scores, [[1, 0], [0, 1], [0, 0]], songs=["a", "b", "c"]).summary["roc_auc"]["macro"]
    0.75
    """
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
    scores = scores[None] if scores.ndim == 2 else scores
    names = [str(tag) for tag in range(targets.shape[-1])] if tags is None else list(tags)
    chosen = None if thresholds is None else np.atleast_2d(thresholds)
    _require_same_clips(scores, targets, songs, names, chosen)
    for values in scores:
        metrics.check_finite(values, names)
    metrics.require_defined(targets)
    drawn = resample(songs, resamples, seed)
    roc, pr = map(np.array, zip(*(metrics.per_tag(values, targets) for values in scores), strict=True))
    mask = metrics.defined(targets)
    summary: dict[str, Any] = {
        "roc_auc": _roc_auc(scores, targets, roc, drawn, seed),
        "pr_auc": {"macro": float(_macro(pr).mean())} | _over_seeds(_macro(pr)),
        "half": _mean([metrics.at_half(values, targets) for values in scores]),
        "equal_error": _at_thresholds(scores, targets, chosen),
        "tags": {"defined": int(mask.sum()), "undefined": int((~mask).sum())},
        "clips": len(targets),
        "songs": len(drawn.counts),
        "seeds": len(scores),
    }
    if len(scores) > 1:
        summary["ensemble"] = _ensemble(scores.mean(axis=0), targets, drawn)
    rows = _tag_rows(names, targets, roc, pr, chosen)
    return Evaluation(summary, rows, _mean_curve(scores[:, :, mask], targets[:, mask]))


def _require_same_clips(
    scores: Array,
    targets: NDArray[Any],
    songs: Sequence[Hashable] | NDArray[Any],
    tags: Sequence[str],
    thresholds: Array | None,
) -> None:
    """Raise EvaluationError if the inputs are not of the same clips, tags and seeds."""
    if scores.ndim != 3 or not len(scores) or not (scores.shape[1:] == targets.shape == (len(songs), len(tags))):
        shape = scores.shape[1:] if len(scores) == 1 else scores.shape
        raise metrics.EvaluationError(
            "scores and targets must be (clips, tags), with a song per clip and a name per tag, or scores (seeds, "
            f"clips, tags); got {shape} and {targets.shape}, {len(songs)} songs and {len(tags)} names"
        )
    if thresholds is not None and thresholds.shape != scores[:, 0].shape:
        raise metrics.EvaluationError(
            f"thresholds must be (seeds, tags), {scores[:, 0].shape} as the scores, got {thresholds.shape}"
        )


def _roc_auc(scores: Array, targets: NDArray[Any], roc: Array, drawn: Resamples, seed: int) -> dict[str, Any]:
    """Return the mean ROC-AUC with its interval, of one seed or of several; roc: (seeds, tags)."""
    seeds = draw_seeds(len(scores), drawn.counts.shape[1], seed, "evaluate")
    found = Measured(_macro(roc), bootstrap_over_seeds(scores, targets, drawn, seeds))
    low, high = interval_over_seeds(found)
    mask = metrics.defined(targets)
    pooled = [float(roc_auc_score(targets[:, mask].ravel(), values[:, mask].ravel())) for values in scores]
    middle = {"macro": found.mean, "low": low, "high": high} | _over_seeds(found.each)
    return middle | {"micro": float(np.mean(pooled))}


def _ensemble(scores: Array, targets: NDArray[Any], drawn: Resamples) -> dict[str, float]:
    """Return the AUCs of the mean scores of all seeds, (clips, tags), with an interval over songs."""
    low, high = interval(bootstrap_macro_roc_auc(scores, targets, drawn))
    roc, pr = (float(np.nanmean(values)) for values in metrics.per_tag(scores, targets))
    return {"roc_auc": roc, "low": low, "high": high, "pr_auc": pr}


def _macro(values: Array) -> Array:
    """Return the mean over the defined tags of every seed: (seeds, tags) -> (seeds,)."""
    return np.array([np.nanmean(row) for row in values])


def _over_seeds(each: Array) -> dict[str, Any]:
    """Return what is known of a value (seeds,) beside its mean; nothing if there is one seed."""
    return {"deviation": float(each.std(ddof=1)), "each": each.tolist()} if len(each) > 1 else {}


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every key over the seeds that have it; a count that is the same for all stays a whole number.

    >>> _mean([{"tpr": 0.5, "tags": 2}, {"tpr": 0.75, "tags": 2}, {"tags": 2}])
    {'tpr': 0.625, 'tags': 2}
    """
    values = {key: [one[key] for one in found if key in one] for key in dict.fromkeys(k for one in found for k in one)}
    return {key: each[0] if len(set(each)) == 1 else float(np.mean(each)) for key, each in values.items()}


def _at_thresholds(scores: Array, targets: NDArray[Any], chosen: Array | None) -> dict[str, dict[str, float]]:
    """Return the rates at the equal-error thresholds of these clips, and at those that were chosen before, if any."""
    own = [metrics.rates(values, targets, metrics.equal_error_thresholds(values, targets)) for values in scores]
    found = {"chosen_on_test": _mean(own)}
    if chosen is not None:
        before = zip(scores, chosen, strict=True)
        found["chosen_on_valid"] = _mean([metrics.rates(values, targets, at) for values, at in before])
    return found


def _tag_rows(
    names: Sequence[str], targets: NDArray[Any], roc: Array, pr: Array, thresholds: Array | None
) -> list[list[object]]:
    """Return a row of TAG_COLUMNS per tag; roc, pr, thresholds: (seeds, tags)."""
    at = np.full_like(roc, np.nan) if thresholds is None else thresholds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # about tags without a threshold of any seed: they are NaN
        mean_at = np.nanmean(at, axis=0)
    columns = names, targets.sum(axis=0).astype(int), roc.mean(axis=0), pr.mean(axis=0), mean_at
    return [
        [tag, int(positives), _cell(roc_auc), _cell(pr_auc), _threshold(at)]
        for tag, positives, roc_auc, pr_auc, at in zip(*columns, strict=True)
    ]


def _mean_curve(scores: Array, targets: NDArray[Any]) -> list[list[float]]:
    """Return the mean ROC curve of seeds and tags at the false positive rates FPR_GRID, as (fpr, tpr) points.

    scores: (seeds, clips, tags). targets: (clips, tags).
    """
    curves = []
    for values in scores:
        for tag in range(targets.shape[1]):
            fpr, tpr, _ = roc_curve(targets[:, tag], values[:, tag])
            curves.append(np.interp(FPR_GRID, fpr, tpr))
    return [[round(float(x), 4), round(float(y), 6)] for x, y in zip(FPR_GRID, np.mean(curves, axis=0), strict=True)]


def _cell(value: float) -> object:
    """Return a value as a cell of the table of tags, which is empty for NaN."""
    return "" if np.isnan(value) else round(float(value), 6)


def _threshold(value: float) -> object:
    """Return a threshold as a cell; close to 0 or to 1 it has as many digits as the scores in their file.

    >>> [_threshold(value) for value in (0.12345678, 0.00000025, 0.99999998)]
    [0.123457, 2.5e-07, 0.99999998]
    """
    return float(f"{value:.9g}") if min(value, 1 - value) < LEAST_ROUNDED else _cell(value)
