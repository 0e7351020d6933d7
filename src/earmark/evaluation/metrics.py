"""Scores against labels: ROC-AUC and PR-AUC per tag, their means, and intervals by bootstrap over songs.

Conventions: a tag without a positive or without a negative has no AUC; it is left out of every mean and counted. Clips
of one song are not independent, so the bootstrap draws songs. NumPy, SciPy and scikit-learn only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from earmark.errors import EarmarkError

Array = NDArray[np.float64]


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
    return (positives > 0) & (positives < len(targets))


def require_defined(targets: NDArray[Any]) -> None:
    """Refuse targets (clips, tags) of which no tag has both classes: EvaluationError says how many there are."""
    if not defined(targets).any():
        raise EvaluationError(
            f"no tag can be evaluated: of {targets.shape[1]} tags on {len(targets)} clips none has both a positive and "
            "negative; is the split too small?"
        )


def per_tag(scores: Array, targets: NDArray[Any]) -> tuple[Array, Array]:
    """ROC-AUC and average precision of every tag, NaN where undefined; both inputs (clips, tags)."""
    return _each(roc_auc_score, scores, targets), _each(average_precision_score, scores, targets)


def macro_roc_auc(scores: Array, targets: NDArray[Any]) -> float:
    """Mean ROC-AUC over the defined tags; EvaluationError where none is, or where a score is no number."""
    found = _each(roc_auc_score, scores, targets)
    require_defined(targets)
    return float(np.nanmean(found))


def _each(measure: Callable[..., float], scores: Array, targets: NDArray[Any]) -> Array:
    """One of scikit-learn's measures of every tag, NaN where undefined: (tags,)."""
    check_finite(scores)
    found = np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets)):
        found[tag] = measure(targets[:, tag], scores[:, tag])
    return found


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
