"""What a model gets wrong: its worst mistakes, and the tags that it takes for others.

A mistake is a clip and a tag. It is a false positive if the score is at or above the tag's threshold but the clip lacks
the tag, and a false negative if the score is below though the clip has it. How sure the model is of a mistake is the
distance of the score from the threshold, in log-odds, divided by the standard deviation of the tag's log-odds over all
clips. So tags can be compared, whether a network spreads their scores widely or not: 2 is far for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.evaluation.metrics import Array, check_finite

LEAST = 1e-9  # scores this close to 0 or 1 count as if they were so far from it
FALSE_POSITIVE, FALSE_NEGATIVE = "false positive", "false negative"


@dataclass(frozen=True)
class Judged:
    """Clips with their scores and labels.

    clip_ids, songs, files: of the clips. scores: probabilities (clips, tags). targets: (clips, tags) in {0, 1}.
    thresholds: (tags,), the scores from which tags are predicted.

    Raises EvaluationError if a score is not finite.
    """

    clip_ids: Sequence[str]
    songs: Sequence[str]
    files: Sequence[str]
    tags: Sequence[str]
    scores: Array
    targets: NDArray[np.uint8]
    thresholds: Array

    def __post_init__(self) -> None:
        check_finite(self.scores, self.tags)

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Return which tags are predicted, (clips, tags)."""
        return self.scores >= self.thresholds


class Mistake(NamedTuple):
    """A clip that was given a tag that it lacks, or not given one that it has.

    kind: FALSE_POSITIVE or FALSE_NEGATIVE. sure: how sure the model is of it, at least 0; NaN if all clips have the
    same score.
    """

    kind: str
    clip_id: str
    file: str
    song: str
    tag: str
    score: float
    threshold: float
    sure: float


class Confusion(NamedTuple):
    """Clips with the tag ``has`` but without the tag ``taken_for``, for which it was predicted more often than usual.

    clips: how many such clips there are. predicted: for how many of them ``taken_for`` was predicted; songs: how many
    songs these are of. base: the share of all clips without ``taken_for`` for which it was predicted. lift: the share
    here by that base.
    """

    has: str
    taken_for: str
    clips: int
    predicted: int
    songs: int
    base: float
    lift: float


def sureness(scores: Array, thresholds: Array) -> Array:
    """Return how far scores are above (+) or below (-) their thresholds, in deviations of the tag's log-odds.

    scores: probabilities (clips, tags); thresholds: (tags,). Returns (clips, tags); NaN for a tag that has the same
    score for every clip, or scores that all count as the same, because they are closer than LEAST to 0 or to 1.

    >>> sureness(np.array([[0.5], [0.8], [0.2]]), np.array([0.5])).round(2).tolist()
    [[0.0], [1.22], [-1.22]]
    """
    odds = _log_odds(scores)
    deviation = np.where(np.ptp(odds, axis=0) > 0, odds.std(axis=0), np.nan)
    return (odds - _log_odds(thresholds)) / deviation


def _log_odds(scores: Array) -> Array:
    p = np.clip(scores, LEAST, 1 - LEAST)
    return np.log(p) - np.log1p(-p)


def mistakes(judged: Judged, only: Iterable[str] | None = None) -> list[Mistake]:
    """Return all mistakes, the one that the model is most sure of first. only: the tags that count; by default all."""
    wrong = judged.predicted != (judged.targets > 0)
    if only is not None:
        wrong &= np.isin(np.asarray(judged.tags), list(only))
    sure = np.abs(sureness(judged.scores, judged.thresholds))
    places = np.argwhere(wrong)
    order = np.argsort(-sure[wrong], kind="stable")  # NaN comes last
    return [
        Mistake(
            FALSE_NEGATIVE if judged.targets[clip, tag] else FALSE_POSITIVE,
            judged.clip_ids[clip],
            judged.files[clip],
            judged.songs[clip],
            judged.tags[tag],
            float(judged.scores[clip, tag]),
            float(judged.thresholds[tag]),
            float(sure[clip, tag]),
        )
        for clip, tag in places[order].tolist()
    ]


def confusions(judged: Judged, only: Iterable[str] | None = None, least: int = 3) -> list[Confusion]:
    """Return the pairs of tags that are confused, that with the most mistakes beyond the usual first.

    only: pairs with one of these tags count; by default all. least: for how many clips a tag must be predicted wrongly
    to count. A pair whose rate is that of all clips, or below, is not confused.
    """
    has = judged.targets > 0
    false = judged.predicted & ~has
    clips = has.T.astype(int) @ ~has  # (has, taken for)
    predicted = has.T.astype(int) @ false
    lacking = (~has).sum(axis=0)
    base = np.divide(false.sum(axis=0), lacking, out=np.zeros(len(lacking)), where=lacking > 0)
    beyond = predicted - clips * base
    found = np.argwhere((predicted >= least) & (beyond > 0))
    counted = set(judged.tags if only is None else only)
    pairs = [(a, b) for a, b in found.tolist() if {judged.tags[a], judged.tags[b]} & counted]
    pairs.sort(key=lambda pair: -beyond[pair])
    return [
        Confusion(
            judged.tags[a],
            judged.tags[b],
            int(clips[a, b]),
            int(predicted[a, b]),
            len({judged.songs[clip] for clip in np.flatnonzero(has[:, a] & false[:, b]).tolist()}),
            float(base[b]),
            float(predicted[a, b] / clips[a, b] / base[b]),
        )
        for a, b in pairs
    ]
