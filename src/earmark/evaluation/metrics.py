"""Scores against labels: ROC-AUC and PR-AUC per tag, their means, thresholds and rates.

Conventions ----------- Scores and targets are arrays (clips, tags). A target is 1 if the clip has the tag, else 0. A
higher score means that the tag is more probable.

A tag is defined if it has a positive and a negative clip. An undefined tag has no AUC and no threshold: the functions
return NaN for it, and leave it out of every mean.

A clip is predicted to have a tag if its score is at least the threshold.
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
    """Scores or targets that cannot be measured; the text says why."""


def check_finite(scores: Array, tags: Sequence[str] | None = None) -> None:
    """Raise EvaluationError if a score is NaN or infinite; the text names the tag, and says how many there are.

    scores: (clips, tags). tags: their names. A comparison with NaN is false, so that NaN would pass for a score below
    every threshold.
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
    """Return which tags have both a positive and a negative clip: (clips, tags) -> (tags,).

    >>> defined(np.array([[1, 0, 1], [0, 0, 1]])).tolist()
    [True, False, False]
    """
    positives = targets.sum(axis=0)
    return (positives > 0) & (positives < len(targets))


def require_defined(targets: NDArray[Any]) -> None:
    """Raise EvaluationError if no tag of the targets (clips, tags) is defined."""
    if not defined(targets).any():
        raise EvaluationError(
            f"no tag can be evaluated: of {targets.shape[1]} tags on {len(targets)} clips none has both a positive and "
            "negative; is the split too small?"
        )


def per_tag(scores: Array, targets: NDArray[Any]) -> tuple[Array, Array]:
    """Return the ROC-AUC and the average precision of every tag, (tags,) each; NaN for an undefined tag.

    scores, targets: (clips, tags). Raises EvaluationError if a score is not finite.
    """
    return _each(roc_auc_score, scores, targets), _each(average_precision_score, scores, targets)


def macro_roc_auc(scores: Array, targets: NDArray[Any]) -> float:
    """Return the mean ROC-AUC over the defined tags.

    scores, targets: (clips, tags). Raises EvaluationError if no tag is defined, or if a score is not finite.

    >>> scores = np.array([[0.9, 0.2], [0.4, 0.7], [0.1, 0.8]])
    >>> macro_roc_auc(scores, np.array([[1, 0], [0, 1], [0, 0]]))  # 1 for the first tag, 1/2 for the second
    0.75
    """
    found = _each(roc_auc_score, scores, targets)
    require_defined(targets)
    return float(np.nanmean(found))


def _each(measure: Callable[..., float], scores: Array, targets: NDArray[Any]) -> Array:
    """Return one of scikit-learn's measures for every tag, (tags,); NaN for an undefined tag."""
    check_finite(scores)
    found = np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets)):
        found[tag] = measure(targets[:, tag], scores[:, tag])
    return found


def equal_error_thresholds(scores: Array, targets: NDArray[Any], tags: Sequence[str] | None = None) -> Array:
    """Return for every tag the score at which recall and specificity are closest to each other (Dalla Longa et al., 5).

    scores, targets: (clips, tags) -> (tags,). NaN for an undefined tag, and for a tag that has the same score for every
    clip: any threshold would find all clips or none. tags: their names, for errors.

    Raises EvaluationError if a score is not finite.
    """
    check_finite(scores, tags)
    thresholds = np.full(targets.shape[1], np.nan)
    for tag in np.flatnonzero(defined(targets) & (np.ptp(scores, axis=0) > 0)):
        fpr, tpr, levels = roc_curve(targets[:, tag], scores[:, tag], drop_intermediate=False)
        thresholds[tag] = levels[np.argmin(np.abs(tpr - (1 - fpr)))]
    return thresholds


def rates(scores: Array, targets: NDArray[Any], thresholds: Array) -> dict[str, float]:
    """Return the mean true and false positive rate over the tags that are defined here and have a threshold.

    scores, targets: (clips, tags); thresholds: (tags,), NaN for none. The key ``tags`` says how many tags that are;
    without any there are no rates. Raises EvaluationError if a score is not finite.
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
    """Return the accuracy over all cells at the threshold 0.5, and the mean binary cross-entropy (Panwar et al.).

    scores: probabilities (clips, tags); targets: (clips, tags). Raises EvaluationError if a score is not finite.
    """
    check_finite(scores)
    p = np.clip(scores, 1e-7, 1 - 1e-7)
    loss = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    return {"accuracy": float(((scores >= 0.5) == (targets > 0)).mean()), "loss": float(loss)}
