"""Scores against labels: ROC-AUC and PR-AUC per tag, their means, and intervals by bootstrap over songs.

Conventions: a tag without a positive or without a negative has no AUC; it is left out of every mean and counted. Clips
of one song are not independent, so the bootstrap draws songs. NumPy, SciPy and scikit-learn only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from earmark.errors import EarmarkError

Array = NDArray[np.float64]
TAG_COLUMNS = ("tag", "positives", "roc_auc", "pr_auc", "threshold")
FPR_GRID = np.linspace(0, 1, 101)
BLOCK = 256  # resamples at a time: what is held of them stays within the cache, and bounded


class EvaluationError(EarmarkError):
    """Nothing can be measured; the text says on what."""


def check_finite(scores: Array, tags: Sequence[str] | None = None) -> None:
    """Refuse scores (clips, tags) that are no numbers: EvaluationError says of which tag, and how many.

    A comparison with NaN is false, so that they would pass for scores that lie below every threshold.
    """
    bad = (~np.isfinite(scores)).sum(axis=0)
    if bad.any():
        first, others = int(np.flatnonzero(bad)[0]), int((bad > 0).sum()) - 1
        name = f"number {first}" if tags is None else repr(tags[first])
        more = f", and so are some of {others} other tag{'s' * (others > 1)}" if others else ""
        raise EvaluationError(
            f"scores must be finite, but {bad[first]} of {len(scores)} of tag {name} are NaN or infinite{more}; did "
            "the training diverge? A smaller learning_rate may help"
        )


def defined(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Which tags have both a positive and a negative; targets: (clips, tags) in {0, 1}."""
    positives = targets.sum(axis=0)
    mask: NDArray[np.bool_] = (positives > 0) & (positives < len(targets))
    return mask


def per_tag(scores: Array, targets: NDArray[Any]) -> tuple[Array, Array]:
    """ROC-AUC and average precision of every tag, NaN where undefined; both inputs (clips, tags)."""
    return _each(roc_auc_score, scores, targets), _each(average_precision_score, scores, targets)


def macro_roc_auc(scores: Array, targets: NDArray[Any]) -> float:
    """Mean ROC-AUC over the defined tags; EvaluationError where none is, or where a score is no number."""
    return float(np.nanmean(_some(_each(roc_auc_score, scores, targets), targets)))


def _each(measure: Callable[..., float], scores: Array, targets: NDArray[Any]) -> Array:
    """One of scikit-learn's measures of every tag, NaN where undefined: (tags,)."""
    check_finite(scores)
    found = np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets)):
        found[tag] = measure(targets[:, tag], scores[:, tag])
    return found


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples of the songs: ``songs`` (clips,), a number from 0 each; ``counts`` (songs, resamples) int32.

    ``counts`` says how often a song, and so each of its clips, counts in each resample.
    """

    songs: NDArray[np.int64]
    counts: NDArray[np.int32]


def resample(songs: NDArray[np.int64], resamples: int, seed: int) -> Resamples:
    """Draw the songs with replacement, as many as there are.

    songs: (clips,) song numbers from 0. The same songs, count and seed give the same resamples, which pairs
    experiments.
    """
    number = int(songs.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=resamples)
    return Resamples(songs, np.ascontiguousarray(drawn.T, dtype=np.int32))


def weighted_roc_auc(scores: Array, targets: NDArray[Any], drawn: Resamples) -> Array:
    """ROC-AUC of one tag in every resample; scores, targets: (clips,). Returns (resamples,), NaN without both classes.

    The probability that a positive outranks a negative, ties counting one half (Hanley and McNeil 1982). The scores of
    the positives are the levels; of the negatives only their number on each level and between two of them matters, and
    a sparse matrix sums them by level and song once for all resamples. All sums are of integers, so they are exact.
    """
    positive = targets > 0
    levels, level_of = np.unique(scores[positive], return_inverse=True)
    negatives = scores[~positive]
    # Place 2 k lies below level k and above level k - 1, place 2 k + 1 is level k itself.
    place = np.searchsorted(levels, negatives) + np.searchsorted(levels, negatives, side="right")
    ones = np.ones(len(scores), np.int32)
    shape = (len(levels), len(drawn.counts))
    winners = csr_array((ones[positive], (level_of, drawn.songs[positive])), shape=shape)
    shape = (2 * len(levels) + 1, len(drawn.counts))
    losers = csr_array((ones[~positive], (place, drawn.songs[~positive])), shape=shape)
    found = [_auc(winners, losers, drawn.counts[:, i : i + BLOCK]) for i in range(0, drawn.counts.shape[1], BLOCK)]
    return np.concatenate(found)


def _auc(winners: csr_array, losers: csr_array, counts: NDArray[np.int32]) -> Array:
    """ROC-AUC in a block of resamples (songs, block); winners: (levels, songs), losers: (2 levels + 1, songs)."""
    counts = np.ascontiguousarray(counts)
    positive = (winners @ counts).astype(np.float64)
    up_to = np.cumsum(losers @ counts, axis=0)  # negatives up to each place
    twice_won = (positive * (up_to[:-1:2] + up_to[1::2])).sum(axis=0)  # all below the level, and half of those on it
    pairs = positive.sum(axis=0) * up_to[-1]
    auc: Array = np.divide(0.5 * twice_won, pairs, out=np.full(counts.shape[1], np.nan), where=pairs > 0)
    return auc


def bootstrap_macro_roc_auc(scores: Array, targets: NDArray[Any], drawn: Resamples) -> Array:
    """Macro ROC-AUC of every resample, over the tags defined in it: (resamples,); inputs (clips, tags)."""
    check_finite(scores)
    columns = np.flatnonzero(defined(targets))
    values = np.array([weighted_roc_auc(scores[:, c], targets[:, c], drawn) for c in columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample in which no tag is defined is NaN, as it should be
        return np.asarray(np.nanmean(values, axis=0))


def interval(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, the undefined ones left out."""
    tail = (1 - level) / 2 * 100
    low, high = np.nanpercentile(samples, [tail, 100 - tail])
    return float(low), float(high)


def equal_error_thresholds(scores: Array, targets: NDArray[Any], tags: Sequence[str] | None = None) -> Array:
    """Per tag the score at which recall equals specificity, as nearly as the clips allow; NaN where there is none.

    scores, targets: (clips, tags) -> (tags,). A clip is positive whose score is at least the threshold (Dalla Longa et
    al., section 5). There is none for an undefined tag, nor for one that has the same score for every clip: all of
    them or no one would be found, whatever the threshold. tags: their names, for the error that NaN is.
    """
    check_finite(scores, tags)
    thresholds = np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets) & (np.ptp(scores, axis=0) > 0)):
        fpr, tpr, levels = roc_curve(targets[:, tag], scores[:, tag], drop_intermediate=False)
        thresholds[tag] = levels[np.argmin(np.abs(tpr - (1 - fpr)))]
    return thresholds


def rates(scores: Array, targets: NDArray[Any], thresholds: Array) -> dict[str, float]:
    """True and false positive rates at the thresholds, means over the tags that have one and are defined here.

    "tags" counts them: the others are left out, not taken for 0.
    """
    check_finite(scores)
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
    check_finite(scores)
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
    """Measure scores (clips, tags) against targets (clips, tags); EvaluationError where no tag is defined, or for NaN.

    thresholds: (tags,), chosen on the validation split; without them nothing is reported at them.
    """
    check_finite(scores, tags)
    roc, pr = per_tag(scores, targets)
    _some(roc, targets)
    mask = defined(targets)
    low, high = interval(bootstrap_macro_roc_auc(scores, targets, resample(songs, resamples, seed)))
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
