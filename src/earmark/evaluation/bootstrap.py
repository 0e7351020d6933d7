"""Intervals of the mean ROC-AUC by bootstrap over songs (Efron and Tibshirani 1993), and over the seeds of a network.

Clips of the same song are not independent. So the bootstrap draws songs, with all their clips. A network that is
trained from another seed has other scores; if it was trained from several, the bootstrap draws among them as well.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

from earmark.evaluation.metrics import Array, EvaluationError, check_finite, defined

BLOCK = 256  # resamples at one time, so that they fit into the cache


@dataclass(frozen=True)
class Measured:
    """The mean ROC-AUC of an experiment.

    each: (seeds,), that of every seed. samples: (resamples,), that of resamples of the songs and of the seeds.
    """

    each: Array
    samples: Array

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(self.each.mean())

    @property
    def deviation(self) -> float:
        """The sample deviation over the seeds, NaN for one seed."""
        return float(self.each.std(ddof=1)) if len(self.each) > 1 else float("nan")


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


def draw_seeds(n_seeds: int, resamples: int, seed: int, name: str) -> NDArray[np.int64]:
    """Draw seeds of an experiment with replacement, as their numbers from 0: (resamples, max(1, n_seeds - 1)).

    One less is drawn than there are: the variance of the mean of n draws out of n values is (n - 1) / n of what it
    should be, that of n - 1 draws has no such bias (Rao and Wu 1988). name: what tells the experiment from others,
    which draw independently of it. The same arguments give the same seeds.

    >>> draw_seeds(3, resamples=4, seed=1, name="cnn").shape, draw_seeds(1, resamples=2, seed=1, name="cnn").tolist()
    ((4, 2), [[0], [0]])
    """
    stream = np.random.SeedSequence(seed, spawn_key=(len(name), *name.encode()))  # another one than that of the songs
    return np.random.default_rng(stream).integers(n_seeds, size=(resamples, max(1, n_seeds - 1)))


def bootstrap_over_seeds(scores: Array, targets: NDArray[Any], drawn: Resamples, seeds: NDArray[np.int64]) -> Array:
    """Return the mean ROC-AUC of every resample as the mean over its seeds, (resamples,).

    scores: (seeds, clips, tags). targets: (clips, tags). seeds: (resamples, draws), what ``draw_seeds`` returned. It is
    the mean of the AUCs and not the AUC of the mean scores, which would be that of an ensemble.
    """
    each = np.array([bootstrap_macro_roc_auc(values, targets, drawn) for values in scores])
    return np.take_along_axis(each.T, seeds, axis=1).mean(axis=1)


def interval(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval (low, high) of bootstrap samples; NaN is left out.

    Raises EvaluationError if all of them are NaN.

    >>> interval(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    if np.isnan(samples).all():
        raise EvaluationError(
            f"no interval: in none of the {len(samples)} resamples has a tag both clips that have it and clips that "
            "do not; the test split has too few songs, or `evaluation.resamples` is too low"
        )
    tail = (1 - level) / 2 * 100
    low, high = np.nanpercentile(samples, [tail, 100 - tail])
    return float(low), float(high)


def interval_over_seeds(found: Measured, *minus: Measured) -> tuple[float, float]:
    """Return the 95 % interval of a mean ROC-AUC, or of its difference to another one, over songs and seeds.

    The deviation over a few seeds is known badly itself. So the percentile interval is widened around the estimate as
    Student's distribution is wider than the normal one, by its quantile for the ``degrees`` of freedom; with one seed
    each it is the percentile interval. It ends where the values do: at 0 and 1, a difference at -1 and 1.
    """
    samples, estimate = _minus(found, *minus)
    low, high = interval(samples)
    freedom = degrees(_variance(samples), (found, *minus))
    if np.isinf(freedom):
        return low, high
    wider = float(stdtrit(freedom, 0.975) / stdtrit(np.inf, 0.975))
    ends = (estimate + wider * (end - estimate) for end in (low, high))
    low, high = np.clip(list(ends), -1.0 if minus else 0.0, 1.0)
    return float(low), float(high)


def p_value(first: Measured, second: Measured, songs: int) -> float:
    """Return how probable a difference of this size or more is if there is none in truth; two-sided.

    The difference over its standard error is taken to be Student's t with the ``degrees`` of freedom. The standard
    error is the deviation of the resamples, times n / (n - 1) in the variance, for n songs that are drawn with
    replacement vary less than those that they stand for. songs: how many. No p is below 2 ** (1 - n), that of a sign
    test in which all songs agree: with few of them the resamples may all be alike. It is 1 if fewer than two resamples
    are defined, which tell nothing.
    """
    samples, difference = _minus(first, second)
    variance = _variance(samples)
    if difference == 0 or np.isnan(variance) or songs < 2:
        return 1.0
    variance *= songs / (songs - 1)
    t = abs(difference) / np.sqrt(variance) if variance > 0 else np.inf
    return max(float(2 * stdtr(degrees(variance, (first, second), songs), -t)), 2.0 ** (1 - songs))


def degrees(variance: float, parts: Sequence[Measured], songs: int | None = None) -> float:
    """Return the degrees of freedom of a variance of which each share is known from few values.

    That is Welch's and Satterthwaite's formula: what the seeds of each part add to it is known from the seeds, and all
    else from the ``songs``, or well if that is None. Infinity if every share is known well, or there is no variance.
    """
    shares = [(m.deviation**2 / len(m.each), len(m.each)) for m in parts if len(m.each) > 1]
    if songs is not None:
        shares.append((max(0.0, variance - sum(share for share, _ in shares)), songs))
    known_badly = sum(share**2 / (number - 1) for share, number in shares)
    return variance**2 / known_badly if known_badly > 0 and variance > 0 else float("inf")


def _variance(samples: Array) -> float:
    """Return the sample variance of the resamples that are defined, NaN if they are fewer than two."""
    known = samples[~np.isnan(samples)]
    return float(known.var(ddof=1)) if len(known) > 1 else float("nan")


def _minus(found: Measured, *minus: Measured) -> tuple[Array, float]:
    """Return the samples of a difference, and the difference itself."""
    samples, estimate = found.samples, found.mean
    for other in minus:
        samples, estimate = samples - other.samples, estimate - other.mean
    return samples, estimate
