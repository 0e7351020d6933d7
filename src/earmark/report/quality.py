"""What there is to draw of scores beside their ROC curves: precision and recall, calibration, which tags are confused.

scores are probabilities (clips, tags), of several seeds (seeds, clips, tags); targets are (clips, tags) in {0, 1}.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from earmark.corpus.label_table import read_labels
from earmark.evaluation.metrics import Array, EvaluationError, defined
from earmark.evaluation.mistakes import Confusion, Judged, confusions
from earmark.evaluation.scoring import Scores, read_scores
from earmark.files import read_csv, spreadsheet_cell

RECALLS = np.linspace(0, 1, 51)
BINS = 10
SHOWN = 12  # tags of a matrix of confusions

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Scored:
    """An experiment's scores (seeds, clips, tags), the targets of the same clips, and the tags' thresholds."""

    scores: Scores
    targets: NDArray[np.uint8]
    songs: Sequence[str]
    thresholds: Array

    def judged(self) -> Judged:
        """Return the mean scores of all seeds against the thresholds."""
        clips, tags = self.scores.clip_ids, self.scores.tags
        return Judged(clips, self.songs, clips, tags, self.scores.values.mean(axis=0), self.targets, self.thresholds)


def read(name: str, scores: Path, labels: Path, tags: Path) -> Scored:
    """Read what ``evaluate`` wrote of an experiment. scores, labels: tables; tags: the CSV with the thresholds.

    Raises EarmarkError if a file is absent or damaged, or if they are of other clips or tags.
    """
    found = read_scores(scores)
    clips, table = read_labels(labels)
    rows = {clip.clip_id: row for row, clip in enumerate(clips)}
    header, cells = read_csv(tags, ("tag",))
    # by place: two tags may have the same cell
    if (
        table.tags != found.tags
        or [row[0] for row in cells] != [spreadsheet_cell(tag) for tag in found.tags]
        or not rows.keys() >= set(found.clip_ids)
    ):
        raise EvaluationError(f"{scores}, {labels} and {tags} do not fit each other; run `dvc repro evaluate@{name}`")
    try:
        thresholds = np.array([float(dict(zip(header, row, strict=True)).get("threshold") or 0.5) for row in cells])
    except ValueError as error:
        raise EvaluationError(f"{tags}: {error}; run `dvc repro evaluate@{name}`") from None
    chosen = [rows[clip] for clip in found.clip_ids]
    return Scored(found, table.values[chosen], [clips[row].song for row in chosen], thresholds)


def precision_recall(scores: Array, targets: NDArray[np.uint8]) -> Points:
    """Return the mean precision at RECALLS over seeds and defined tags, as points (recall, precision).

    The precision at a recall is the highest one that a threshold with that recall, or more, has.

    >>> precision_recall(np.array([[[0.9], [0.1]]]), np.array([[1], [0]], np.uint8))[-1]
    (1.0, 1.0)
    """
    curves = []
    for values in scores:
        for tag in np.flatnonzero(defined(targets)):
            precision, recall, _ = precision_recall_curve(targets[:, tag], values[:, tag])
            best = np.maximum.accumulate(precision[:-1])[::-1]  # recall falls; its last point is 0 by convention
            curves.append(best[np.searchsorted(recall[:-1][::-1], RECALLS)])
    mean = np.mean(curves, axis=0)
    return [(float(x), round(float(y), 4)) for x, y in zip(RECALLS, mean, strict=True)]


def calibration(scores: Array, targets: NDArray[np.uint8]) -> tuple[Points, float]:
    """Return how often a tag is there, by its probability, and the mean distance of the two.

    All seeds, clips and tags are pooled, and dealt to BINS groups of equal size, from the lowest scores to the highest.
    A point is a group's mean score and the share of positives in it. The distance is the expected calibration error:
    the mean of their absolute differences, weighted by the groups' sizes.
    """
    pooled = np.stack([scores.ravel(), np.broadcast_to(targets, scores.shape).ravel()])
    ordered = pooled[:, np.argsort(pooled[0], kind="stable")]
    groups = [group for group in np.array_split(ordered, BINS, axis=1) if group.size]
    points = [(round(float(group[0].mean()), 4), round(float(group[1].mean()), 4)) for group in groups]
    error = sum(group.shape[1] * abs(float(group[0].mean() - group[1].mean())) for group in groups) / ordered.shape[1]
    return points, error


@dataclass(frozen=True)
class Matrix:
    """Which tags are taken for others.

    names: the tags that are confused most. shares: of the clips with the row's tag that lack the column's, the share
    that got it; NaN where there is no such clip. cells: the same in words, row by row. pairs: the worst ones.
    """

    names: list[str]
    shares: list[list[float]]
    cells: list[str]
    pairs: list[Confusion]


def matrix(scored: Scored) -> Matrix:
    """Return the confusions between the tags that are in the worst pairs, at most SHOWN tags."""
    judged = scored.judged()
    pairs = confusions(judged)
    worst = list(dict.fromkeys(tag for pair in pairs for tag in (pair.has, pair.taken_for)))[:SHOWN]
    at = [judged.tags.index(tag) for tag in worst]
    has = judged.targets[:, at] > 0
    false = judged.predicted[:, at] & ~has
    there, got = has.T.astype(int) @ ~has, has.T.astype(int) @ false
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0 is NaN: no clip
        shares = np.where(there > 0, got / there, np.nan)
    np.fill_diagonal(shares, np.nan)
    cells = [
        f"{got[a, b]} of {there[a, b]} clips with {worst[a]} and without {worst[b]} got {worst[b]}"
        for a in range(len(worst))
        for b in range(len(worst))
    ]
    return Matrix(worst, shares.tolist(), cells, pairs)
