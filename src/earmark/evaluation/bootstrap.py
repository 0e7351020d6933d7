"""Intervals of a mean ROC-AUC by bootstrap over songs.

Clips of one song are not independent, so the bootstrap draws songs. All metrics of one set of resamples are paired.
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

BLOCK = 256  # resamples at a time: what is held of them stays within the cache, and bounded


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples of the songs: ``songs`` (clips,), a number from 0 each; ``counts`` (songs, resamples) int32.

    ``counts`` says how often a song, and so each of its clips, counts in each resample.
    """

    songs: NDArray[np.int64]
    counts: NDArray[np.int32]


def resample(songs: Sequence[Hashable] | NDArray[Any], resamples: int, seed: int) -> Resamples:
    """Draw the songs with replacement, as many as there are.

    songs: (clips,) what clips of the same song have in common, a name or a number. The same songs, count and seed give
    the same resamples, which pairs experiments.
    """
    numbers = {song: number for number, song in enumerate(dict.fromkeys(songs))}  # in the order of first occurrence
    drawn = np.random.default_rng(seed).multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), resamples)
    counts = np.ascontiguousarray(drawn.T, dtype=np.int32)
    return Resamples(np.array([numbers[song] for song in songs], np.int64), counts)


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
    return np.divide(0.5 * twice_won, pairs, out=np.full(counts.shape[1], np.nan), where=pairs > 0)


def bootstrap_macro_roc_auc(scores: Array, targets: NDArray[Any], drawn: Resamples) -> Array:
    """Macro ROC-AUC of every resample, over the tags defined in it: (resamples,); inputs (clips, tags)."""
    check_finite(scores)
    columns = np.flatnonzero(defined(targets))
    values = np.array([weighted_roc_auc(scores[:, c], targets[:, c], drawn) for c in columns])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample in which no tag is defined is NaN, as it should be
        return np.nanmean(values, axis=0)


def interval(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, the undefined ones left out."""
    tail = (1 - level) / 2 * 100
    low, high = np.nanpercentile(samples, [tail, 100 - tail])
    return float(low), float(high)
