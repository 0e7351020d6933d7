"""Intervals of the mean ROC-AUC by bootstrap over songs (Efron and Tibshirani 1993).

Clips of the same song are not independent. So the bootstrap draws songs, with all their clips.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from earmark.evaluation.metrics import Array, check_finite, defined

BLOCK = 256  # resamples at one time, so that they fit into the cache


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples of songs.

    songs: (clips,), the number of each clip's song, from 0. counts: (songs, resamples), how often a song, and so each
    of its clips, counts in each resample.
    """

    songs: NDArray[np.int64]
    counts: NDArray[np.int32]


def resample(songs: Sequence[Hashable] | NDArray[Any], resamples: int, seed: int) -> Resamples:
    """Draw as many songs as there are, with replacement, for every one of ``resamples``.

    songs: (clips,), the name or the number of each clip's song. The same songs, number and seed give the same
    resamples, so that two experiments can be compared on them.

    >>> drawn = resample(["a", "a", "b"], resamples=5, seed=1)
    >>> drawn.songs.tolist(), drawn.counts.sum(axis=0).tolist()
    ([0, 0, 1], [2, 2, 2, 2, 2])
    """
    numbers = {song: number for number, song in enumerate(dict.fromkeys(songs))}  # in the order of first occurrence
    drawn = np.random.default_rng(seed).multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), resamples)
    counts = np.ascontiguousarray(drawn.T, dtype=np.int32)
    return Resamples(np.array([numbers[song] for song in songs], np.int64), counts)


def weighted_roc_auc(scores: Array, targets: NDArray[Any], drawn: Resamples) -> Array:
    """Return the ROC-AUC of one tag in every resample, (resamples,); NaN if a resample lacks a class.

    scores, targets: (clips,). The AUC is the probability that a positive has a higher score than a negative; a tie
    counts one half (Hanley and McNeil 1982). We call the scores of the positives levels. Then it only matters how many
    negatives lie on each level and between two levels. A sparse matrix holds these numbers by level and song, for all
    resamples. All sums are of integers, so they are exact.
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
    """Return the ROC-AUC in a block of resamples, (block,).

    winners: positives (levels, songs); losers: negatives (2 levels + 1, songs); counts: (songs, block).
    """
    counts = np.ascontiguousarray(counts)
    positive = (winners @ counts).astype(np.float64)
    up_to = np.cumsum(losers @ counts, axis=0)  # negatives up to each place
    twice_won = (positive * (up_to[:-1:2] + up_to[1::2])).sum(axis=0)  # all below the level, and half of those on it
    pairs = positive.sum(axis=0) * up_to[-1]
    return np.divide(0.5 * twice_won, pairs, out=np.full(counts.shape[1], np.nan), where=pairs > 0)


def bootstrap_macro_roc_auc(scores: Array, targets: NDArray[Any], drawn: Resamples) -> Array:
    """Return the mean ROC-AUC of every resample over the tags that are defined in it, (resamples,).

    scores, targets: (clips, tags). NaN if no tag is defined. Raises EvaluationError if a score is not finite.
    """
    check_finite(scores)
    columns = np.flatnonzero(defined(targets))
    values = np.array([weighted_roc_auc(scores[:, c], targets[:, c], drawn) for c in columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # about resamples in which no tag is defined: they are NaN
        return np.nanmean(values, axis=0)


def interval(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval (low, high) of bootstrap samples; NaN is left out.

    >>> interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    tail = (1 - level) / 2 * 100
    low, high = np.nanpercentile(samples, [tail, 100 - tail])
    return float(low), float(high)
