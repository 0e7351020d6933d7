"""Scores against labels: ROC-AUC and PR-AUC per tag, their means, and intervals by bootstrap over songs.

Conventions: a tag without a positive or without a negative has no AUC; it is left out of every mean and counted. Clips
of one song are not independent, so the bootstrap draws songs. NumPy and scikit-learn only.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from earmark.errors import EarmarkError

Array = NDArray[np.float64]
TAG_COLUMNS = ("tag", "positives", "roc_auc", "pr_auc", "threshold")
FPR_GRID = np.linspace(0, 1, 101)


class EvaluationError(EarmarkError):
    """Nothing can be measured; the text says on what."""


def defined(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Which tags have both a positive and a negative; targets: (clips, tags) in {0, 1}."""
    positives = targets.sum(axis=0)
    mask: NDArray[np.bool_] = (positives > 0) & (positives < len(targets))
    return mask


def per_tag(scores: Array, targets: NDArray[Any]) -> tuple[Array, Array]:
    """ROC-AUC and average precision of every tag, NaN where undefined; both inputs (clips, tags)."""
    roc, pr = np.full(targets.shape[1], np.nan), np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets)):
        roc[tag] = roc_auc_score(targets[:, tag], scores[:, tag])
        pr[tag] = average_precision_score(targets[:, tag], scores[:, tag])
    return roc, pr


def macro_roc_auc(scores: Array, targets: NDArray[Any]) -> float:
    """Mean ROC-AUC over the defined tags; EvaluationError where none is."""
    return float(np.nanmean(_some(per_tag(scores, targets)[0], targets)))


def weighted_roc_auc(scores: Array, targets: NDArray[Any], weights: Array) -> Array:
    """ROC-AUC of one tag under many weightings of the clips at once.

    scores, targets: (clips,); weights: (resamples, clips). Returns (resamples,), NaN where a resample lacks a class.
    The probability that a positive outranks a negative, ties counting one half (Hanley and McNeil 1982).
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # one group per distinct score
    positive = np.add.reduceat(weights[:, order] * targets[order], starts, axis=1)
    negative = np.add.reduceat(weights[:, order] * (1 - targets[order]), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    wins = (positive * (below + 0.5 * negative)).sum(axis=1)
    auc: Array = np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
    return auc


def song_weights(songs: NDArray[np.int64], resamples: int, seed: int) -> Array:
    """How often each clip counts in each bootstrap resample of the songs: (resamples, clips).

    songs: (clips,) song numbers from 0. The same songs, count and seed give the same resamples, which pairs
    experiments.
    """
    number = int(songs.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=resamples)
    weights: Array = drawn[:, songs].astype(np.float64)
    return weights


def bootstrap_macro_roc_auc(scores: Array, targets: NDArray[Any], weights: Array) -> Array:
    """Macro ROC-AUC of every resample, over the tags defined in it: (resamples,)."""
    columns = np.flatnonzero(defined(targets))
    values = np.array([weighted_roc_auc(scores[:, c], targets[:, c], weights) for c in columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample in which no tag is defined is NaN, as it should be
        return np.asarray(np.nanmean(values, axis=0))


def interval(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, the undefined ones left out."""
    tail = (1 - level) / 2 * 100
    low, high = np.nanpercentile(samples, [tail, 100 - tail])
    return float(low), float(high)


def equal_error_thresholds(scores: Array, targets: NDArray[Any]) -> Array:
    """Per tag the score at which recall equals specificity, as nearly as the clips allow; NaN where undefined.

    scores, targets: (clips, tags) -> (tags,). A clip is positive whose score is at least the threshold (Dalla Longa et
    al., section 5).
    """
    thresholds = np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets)):
        fpr, tpr, levels = roc_curve(targets[:, tag], scores[:, tag], drop_intermediate=False)
        thresholds[tag] = levels[np.argmin(np.abs(tpr - (1 - fpr)))]
    return thresholds


def rates(scores: Array, targets: NDArray[Any], thresholds: Array) -> dict[str, float]:
    """True and false positive rates at the thresholds, means over the tags that have one and are defined here."""
    found = scores >= thresholds
    mask = defined(targets) & ~np.isnan(thresholds)
    if not mask.any():
        return {"tags": 0}
    positive = targets[:, mask] > 0
    tpr = (found[:, mask] & positive).sum(axis=0) / positive.sum(axis=0)
    fpr = (found[:, mask] & ~positive).sum(axis=0) / (~positive).sum(axis=0)
    return {"tpr": float(tpr.mean()), "fpr": float(fpr.mean()), "tags": int(mask.sum())}


def at_half(scores: Array, targets: NDArray[Any]) -> dict[str, float]:
    """Accuracy over all cells at the threshold 0.5, and mean binary cross-entropy (Panwar et al.)."""
    p = np.clip(scores, 1e-7, 1 - 1e-7)
    loss = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    return {"accuracy": float(((scores >= 0.5) == (targets > 0)).mean()), "loss": float(loss)}


@dataclass(frozen=True)
class Evaluation:
    """What is measured on a split: a nested summary, a row of TAG_COLUMNS per tag, the macro-averaged ROC curve."""

    summary: dict[str, Any]
    tags: list[list[object]]
    roc: list[list[float]]


def evaluate(
    scores: Array,
    targets: NDArray[Any],
    songs: NDArray[np.int64],
    tags: tuple[str, ...],
    resamples: int,
    seed: int,
    thresholds: Array | None = None,
) -> Evaluation:
    """Measure scores (clips, tags) against targets (clips, tags); EvaluationError where no tag is defined.

    thresholds: (tags,), chosen on the validation split; without them nothing is reported at them.
    """
    roc, pr = per_tag(scores, targets)
    _some(roc, targets)
    mask = defined(targets)
    weights = song_weights(songs, resamples, seed)
    low, high = interval(bootstrap_macro_roc_auc(scores, targets, weights))
    summary: dict[str, Any] = {
        "roc_auc": {
            "macro": float(np.nanmean(roc)),
            "low": low,
            "high": high,
            "micro": float(roc_auc_score(targets[:, mask].ravel(), scores[:, mask].ravel())),
        },
        "pr_auc": {"macro": float(np.nanmean(pr))},
        "half": at_half(scores, targets),
        "equal_error": {"chosen_on_test": rates(scores, targets, equal_error_thresholds(scores, targets))},
        "tags": {"defined": int(mask.sum()), "undefined": int((~mask).sum())},
        "clips": len(targets),
        "songs": int(songs.max()) + 1,
    }
    if thresholds is None:
        thresholds = np.full(len(tags), np.nan)
    else:
        summary["equal_error"]["chosen_on_valid"] = rates(scores, targets, thresholds)
    positives = targets.sum(axis=0).astype(int)
    rows: list[list[object]] = [
        [tag, int(n), _cell(r), _cell(p), _cell(t)]
        for tag, n, r, p, t in zip(tags, positives, roc, pr, thresholds, strict=True)
    ]
    return Evaluation(summary, rows, _mean_curve(scores[:, mask], targets[:, mask]))


def _mean_curve(scores: Array, targets: NDArray[Any]) -> list[list[float]]:
    """ROC curves of all tags, averaged vertically on a common grid of false positive rates."""
    curves = []
    for tag in range(targets.shape[1]):
        fpr, tpr, _ = roc_curve(targets[:, tag], scores[:, tag])
        curves.append(np.interp(FPR_GRID, fpr, tpr))
    return [[round(float(x), 4), round(float(y), 6)] for x, y in zip(FPR_GRID, np.mean(curves, axis=0), strict=True)]


def _cell(value: float) -> object:
    """An undefined value is an empty cell."""
    return "" if np.isnan(value) else round(float(value), 6)


def _some(values: Array, targets: NDArray[Any]) -> Array:
    if np.isnan(values).all():
        raise EvaluationError(
            f"no tag can be evaluated: of {targets.shape[1]} tags on {len(targets)} clips none has both a positive and "
            "negative; is the split too small?"
        )
    return values
