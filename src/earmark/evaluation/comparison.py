"""Whether two experiments differ: a paired bootstrap of the difference of their mean ROC-AUCs.

Both are measured on the same resamples of the same songs, so that what makes a resample easy or hard for both cancels
out (Efron and Tibshirani 1993, chapter 8). Two experiments can differ even if their intervals overlap: only the
interval of the difference tells.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.corpus.label_table import read_labels
from earmark.evaluation.bootstrap import Resamples, bootstrap_macro_roc_auc, interval, resample
from earmark.evaluation.metrics import Array, EvaluationError, macro_roc_auc
from earmark.evaluation.scoring import read_scores


@dataclass(frozen=True)
class Scored:
    """The clips that an experiment has scored, and their probabilities (clips, tags) in the same order."""

    clip_ids: list[str]
    scores: Array


@dataclass(frozen=True)
class Difference:
    """The mean ROC-AUC of ``first`` minus that of ``second`` on the clips that both scored.

    low, high: its 95 % interval. ahead: the share of resamples in which ``first`` is ahead.
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
        """Whether zero lies outside of the interval."""
        return self.low > 0 or self.high < 0


def compare(
    experiments: Mapping[str, Scored],
    targets: Mapping[str, NDArray[np.uint8]],
    songs: Mapping[str, str],
    resamples: int,
    seed: int,
) -> list[Difference]:
    """Compare all pairs of experiments. The pairs have the order of the experiments, whichever is ahead.

    targets: clip id -> (tags,) in {0, 1}. songs: clip id -> song. resamples, seed: of the bootstrap. A pair is compared
    on the clips that both scored: an experiment at another rate may lack a clip that was rejected. Experiments are
    measured once for each set of common clips; usually there is only one set.

    Raises EvaluationError if a clip has no labels, if a pair has no clip in common, or if a score is not finite.
    """
    pairs = list(itertools.combinations(experiments, 2))
    scored = {name: frozenset(found.clip_ids) for name, found in experiments.items()}
    for name, clips in scored.items():
        if unknown := clips - targets.keys():
            raise EvaluationError(
                f"{len(unknown)} clips that {name} scored have no labels, {min(unknown)!r} for one: its scores "
                f"belong to other labels; run `dvc repro evaluate@{name}`"
            )
    common = {pair: scored[pair[0]] & scored[pair[1]] for pair in pairs}
    found: dict[tuple[str, str], Difference] = {}
    for clips in dict.fromkeys(common.values()):
        here = [pair for pair in pairs if common[pair] == clips]
        if not clips:
            raise EvaluationError(f"{here[0][0]} and {here[0][1]} have no clip in common that both scored")
        ordered = [clip for clip in targets if clip in clips]
        drawn = resample([songs[clip] for clip in ordered], resamples, seed)
        labels = np.stack([targets[clip] for clip in ordered])
        names = dict.fromkeys(name for pair in here for name in pair)
        measured = {name: _measure(name, experiments[name], ordered, labels, drawn) for name in names}
        found |= {pair: _difference(pair, measured, len(ordered)) for pair in here}
    return [found[pair] for pair in pairs]


def read(folder: Path, experiments: Sequence[str]) -> dict[str, Scored]:
    """Read the scores of experiments that the stage evaluate wrote: ``folder``/<experiment>.csv."""
    return {name: Scored(*read_scores(folder / f"{name}.csv")) for name in experiments}


def compare_files(
    folder: Path, labels: Path, experiments: Sequence[str], resamples: int, seed: int
) -> list[Difference]:
    """Compare experiments by the scores in ``folder``; fewer than two give no pair, and need no labels."""
    if len(experiments) < 2:
        return []
    clips, table = read_labels(labels)
    targets = dict(zip((c.clip_id for c in clips), table.values, strict=True))
    return compare(read(folder, experiments), targets, {c.clip_id: c.song for c in clips}, resamples, seed)


def summary(rows: Sequence[Difference]) -> dict[str, Any]:
    """Return the pairs by name, as in the metrics file."""
    fields = ("difference", "low", "high", "ahead")
    return {f"{row.first} - {row.second}": {f: getattr(row, f) for f in fields} for row in rows}


@dataclass(frozen=True)
class _Measured:
    """The mean ROC-AUC of an experiment on a set of clips, and on each resample of them, (resamples,)."""

    mean: float
    samples: Array


def _measure(name: str, scored: Scored, clips: Sequence[str], labels: NDArray[np.uint8], drawn: Resamples) -> _Measured:
    """Measure an experiment on ``clips``. Labels and resamples have the same order."""
    row_of = {clip: row for row, clip in enumerate(scored.clip_ids)}
    scores = scored.scores[[row_of[clip] for clip in clips]]
    try:
        return _Measured(macro_roc_auc(scores, labels), bootstrap_macro_roc_auc(scores, labels, drawn))
    except EvaluationError as error:
        raise EvaluationError(f"{name}: {error}") from None


def _difference(pair: tuple[str, str], measured: Mapping[str, _Measured], clips: int) -> Difference:
    first, second = (measured[name] for name in pair)
    samples = first.samples - second.samples
    low, high = interval(samples)
    ahead = float(np.mean(samples[~np.isnan(samples)] > 0))
    return Difference(*pair, clips, first.mean - second.mean, low, high, ahead)
