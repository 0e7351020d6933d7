"""Whether two experiments differ: the paired bootstrap of the difference of their macro ROC-AUCs.

Both are scored on the same resamples of the same songs, so that what makes a resample easy or hard for both cancels
(Efron and Tibshirani 1993, chapter 8). Two intervals that overlap may well belong to experiments that differ; the
interval of the difference says whether they do.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.evaluation import Array, bootstrap_macro_roc_auc, interval, macro_roc_auc, song_weights
from earmark.labels import read_labels
from earmark.scoring import read_scores


@dataclass(frozen=True)
class Scored:
    """One experiment on the test split: clip ids and probabilities (clips, tags) in the same order."""

    clip_ids: list[str]
    scores: Array


@dataclass(frozen=True)
class Difference:
    """ROC-AUC of ``first`` minus that of ``second`` on the clips that both scored, with its 95 % interval.

    ``ahead``: share of resamples in which ``first`` is ahead.
    """

    first: str
    second: str
    clips: int
    difference: float
    low: float
    high: float
    ahead: float

    @property
    def distinct(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def compare(
    experiments: Mapping[str, Scored],
    targets: Mapping[str, NDArray[np.uint8]],
    songs: Mapping[str, str],
    resamples: int,
    seed: int,
) -> list[Difference]:
    """All pairs of experiments, in their order, so that a pair keeps its name whoever is ahead.

    targets: clip id -> (tags,) in {0, 1}; songs: clip id -> song.
    """
    return [
        _pair(first, second, experiments, targets, songs, resamples, seed)
        for first, second in itertools.combinations(experiments, 2)
    ]


def read(folder: Path, experiments: Sequence[str]) -> dict[str, Scored]:
    """The scores of experiments, as evaluate wrote them: ``folder``/<experiment>.csv."""
    return {name: Scored(*read_scores(folder / f"{name}.csv")) for name in experiments}


def compare_files(
    folder: Path, labels: Path, experiments: Sequence[str], resamples: int, seed: int
) -> list[Difference]:
    """Compare what evaluate wrote."""
    clips, table = read_labels(labels)
    targets = dict(zip((c.clip_id for c in clips), table.values, strict=True))
    return compare(read(folder, experiments), targets, {c.clip_id: c.song for c in clips}, resamples, seed)


def summary(rows: Sequence[Difference]) -> dict[str, Any]:
    """The pairs by name, for the metrics."""
    fields = ("difference", "low", "high", "ahead")
    return {f"{row.first} - {row.second}": {f: getattr(row, f) for f in fields} for row in rows}


COLUMNS = ("better", "worse", "difference", "95 % interval", "ahead in", "clips", "distinct")


def table(rows: Sequence[Difference]) -> list[tuple[str, ...]]:
    """One row per pair, the better experiment first, the largest difference on top."""
    return [_row(row) for row in sorted(rows, key=lambda row: -abs(row.difference))]


def _row(row: Difference) -> tuple[str, ...]:
    first, second, low, high, ahead = row.first, row.second, row.low, row.high, row.ahead
    if row.difference < 0:
        first, second, low, high, ahead = second, first, -high, -low, 1 - ahead
    return (
        first,
        second,
        f"{abs(row.difference):.4f}",
        f"{low:+.4f} to {high:+.4f}",
        f"{100 * ahead:.0f} %",
        str(row.clips),
        "yes" if row.distinct else "no",
    )


def _pair(
    first: str,
    second: str,
    experiments: Mapping[str, Scored],
    targets: Mapping[str, NDArray[np.uint8]],
    songs: Mapping[str, str],
    resamples: int,
    seed: int,
) -> Difference:
    """The difference on the clips that both have: an experiment at another rate may lack a rejected clip."""
    places = [{clip: row for row, clip in enumerate(experiments[name].clip_ids)} for name in (first, second)]
    common = [clip for clip in experiments[first].clip_ids if clip in places[1]]
    scores = [
        experiments[name].scores[[place[clip] for clip in common]]
        for name, place in zip((first, second), places, strict=True)
    ]
    labels = np.stack([targets[clip] for clip in common])
    numbers = {song: i for i, song in enumerate(dict.fromkeys(songs[clip] for clip in common))}
    weights = song_weights(np.array([numbers[songs[clip]] for clip in common]), resamples, seed)
    means = [macro_roc_auc(s, labels) for s in scores]
    samples = bootstrap_macro_roc_auc(scores[0], labels, weights) - bootstrap_macro_roc_auc(scores[1], labels, weights)
    low, high = interval(samples)
    ahead = float(np.mean(samples[~np.isnan(samples)] > 0))
    return Difference(first, second, len(common), means[0] - means[1], low, high, ahead)
