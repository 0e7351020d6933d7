"""Whether two experiments differ: a paired bootstrap of the difference of their mean ROC-AUCs.

Both are measured on the same resamples of the same songs, so that what makes a resample easy or hard for both cancels
out (Efron and Tibshirani 1993, chapter 8). Two experiments can differ even if their intervals overlap: only the
interval of the difference tells. What a network reaches also depends on the seed that it was trained from. So each
experiment draws its seeds in every resample, too; of one that has a single seed nobody knows what another would give.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import progress
from earmark.corpus.label_table import read_labels
from earmark.evaluation.bootstrap import (
    Measured,
    Resamples,
    bootstrap_over_seeds,
    draw_seeds,
    interval_over_seeds,
    p_value,
    resample,
)
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc
from earmark.evaluation.scoring import Scores, read_scores

LEVEL = 0.05  # how often a pair that does not differ may be called distinct
FEW = 20  # songs: with fewer a percentile interval is too short (docs/metrics.md)
ALL = 50  # experiments of which every pair is compared: 1,225 rows of a table


@dataclass(frozen=True)
class Difference:
    """The mean ROC-AUC of ``first`` minus that of ``second`` on the clips that both scored.

    low, high: its 95 % interval. ahead: the share of resamples in which ``first`` is ahead; a tie is half of one.
    p: how probable such a difference is if there is none. settled: whether it is known what the seeds make of it: each
    side has several, or does not depend on them. holm: whether it is still significant among all the pairs that were
    compared with it. songs: of which the clips are.
    """

    first: str
    second: str
    clips: int
    difference: float
    low: float
    high: float
    ahead: float
    p: float
    settled: bool
    holm: bool = False
    songs: int = FEW

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside of the interval."""
        return self.low > 0 or self.high < 0

    @property
    def distinct(self) -> str:
        """Whether the two differ, as far as one can tell."""
        if not self.excludes_zero:
            return "no"
        if self.songs < FEW:
            return f"cannot tell: {self.songs} song{'s' * (self.songs != 1)}"
        return "yes" if self.settled else "cannot tell: one seed"


def compare(
    experiments: Mapping[str, Scores],
    targets: Mapping[str, NDArray[np.uint8]],
    songs: Mapping[str, str],
    resamples: int,
    seed: int,
    unseeded: Collection[str] = (),
    pairs: Sequence[tuple[str, str]] | None = None,
) -> list[Difference]:
    """Compare pairs of experiments, by default all. They have the order of the experiments, whichever is ahead.

    targets: clip id -> (tags,) in {0, 1}. songs: clip id -> song. resamples, seed: of the bootstrap. unseeded: the
    experiments that do not depend on their seed. A pair is compared on the clips that both scored: an experiment at
    another rate may lack a clip that was rejected. Experiments are measured once for each set of common clips; usually
    there is only one set. No more than one experiment is held at one time.

    Raises EvaluationError if a clip has no labels, if a pair has no clip in common, or if a score is not finite.
    """
    pairs = list(itertools.combinations(experiments, 2)) if pairs is None else pairs
    sets: dict[frozenset[str], frozenset[str]] = {}
    scored, settled = dict[str, frozenset[str]](), set[str]()
    for name, one in experiments.items():
        clips = frozenset(one.clip_ids)
        if unknown := clips - targets.keys():
            raise EvaluationError(
                f"{len(unknown)} clips that {name} scored have no labels, {min(unknown)!r} for one: its scores "
                f"belong to other labels; run `dvc repro evaluate@{name}`"
            )
        scored[name] = sets.setdefault(clips, clips)
        if len(one.seeds) > 1 or name in unseeded:
            settled.add(name)
    common = {(a, b): scored[a] if scored[a] is scored[b] else scored[a] & scored[b] for a, b in pairs}
    found: dict[tuple[str, str], Difference] = {}
    for clips in dict.fromkeys(common.values()):
        here = [pair for pair in pairs if common[pair] == clips]
        if not clips:
            raise EvaluationError(f"{here[0][0]} and {here[0][1]} have no clip in common that both scored")
        ordered = [clip for clip in targets if clip in clips]
        drawn = resample([songs[clip] for clip in ordered], resamples, seed)
        labels = np.stack([targets[clip] for clip in ordered])
        names = list(dict.fromkeys(name for pair in here for name in pair))
        measured = {
            name: _measure(name, experiments[name], ordered, labels, drawn, seed)
            for name in progress.counted(names, "compare", "experiment")
        }
        counts = len(ordered), len(drawn.counts)
        found |= {pair: _difference(pair, measured, counts, settled.issuperset(pair)) for pair in here}
    return corrected([found[pair] for pair in pairs])


def worth_comparing(names: Sequence[str], validation: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return all pairs of experiments; of more than ALL, the pairs of the one that leads with each other one.

    validation: by experiment, what was reached on the validation split; the highest one leads.
    """
    pairs = itertools.combinations(names, 2)
    if len(names) <= ALL:
        return list(pairs)
    leading = leader(names, validation)
    return [pair for pair in pairs if leading in pair]


def leader(names: Sequence[str], validation: Mapping[str, float]) -> str:
    """Return the experiment that is best on the validation split; the test split must not choose what it judges."""
    return max(names, key=lambda name: validation.get(name, -1.0))


class _Read(Mapping[str, Scores]):
    """The scores of experiments, which are read when they are asked for; ALL of them are kept at most.

    fusions: scores that have no file. tags: those of the labels, which stand in the file ``labels``.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], fusions: Mapping[str, Scores], tags: tuple[str, ...], labels: Path
    ) -> None:
        self._folder, self._names, self._fusions, self._tags, self._labels = folder, names, fusions, tags, labels
        self._of_file = lru_cache(ALL)(lambda name: read_scores(self._folder / f"{name}.csv"))

    def __getitem__(self, name: str) -> Scores:
        found = self._fusions.get(name) or self._of_file(name)
        if found.tags != self._tags:
            raise EvaluationError(
                f"the scores of {name} are of other tags than {self._labels}; run `dvc repro evaluate@{name}`"
            )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def compare_files(
    folder: Path,
    labels: Mapping[str, Path],
    unseeded: Collection[str],
    resamples: int,
    seed: int,
    fusions: Mapping[str, Scores] | None = None,
    validation: Mapping[str, float] | None = None,
) -> list[Difference]:
    """Compare experiments by the scores in ``folder``, each with those of the same labels that ``worth_comparing`` has.

    labels: by experiment, the table of its labels. unseeded, resamples, seed: as for ``compare``. fusions: scores that
    have no file; their labels are among ``labels``. validation: as for ``worth_comparing``. An experiment that is alone
    on its labels is in no pair, and none of its files is read.

    Raises EarmarkError if a file is damaged, or if scores are of other tags than the labels.
    """
    rows = []
    for file in dict.fromkeys(labels.values()):
        names = [name for name in labels if labels[name] == file]
        if len(names) > 1:
            clips, table = read_labels(file)
            targets = dict(zip((c.clip_id for c in clips), table.values, strict=True))
            scores = _Read(folder, names, fusions or {}, table.tags, file)
            songs, pairs = {c.clip_id: c.song for c in clips}, worth_comparing(names, validation or {})
            rows += compare(scores, targets, songs, resamples, seed, unseeded, pairs)
    return corrected(rows)


def corrected(rows: Sequence[Difference]) -> list[Difference]:
    """Return the pairs with ``holm``: that with the i-th lowest p of n needs p of at most LEVEL / (n + 1 - i).

    It fails if one before it failed, so that the chance to call any pair wrongly distinct is LEVEL for all pairs
    together (Holm 1979).
    """
    passed = set()
    for rank, number in enumerate(sorted(range(len(rows)), key=lambda number: rows[number].p)):
        if rows[number].p > LEVEL / (len(rows) - rank):
            break
        passed.add(number)
    return [replace(row, holm=number in passed) for number, row in enumerate(rows)]


def verdict(rows: Sequence[Difference]) -> str:
    """Return a sentence on all pairs together: how many seem to differ, by chance as well, and how many cannot be told.

    >>> row = Difference("a", "b", 84, 0.05, 0.01, 0.08, 0.99, p=0.01, settled=True)
    >>> print(verdict(corrected([row])))
    Of 1 pair, 1 excludes zero; 0.05 would by chance alone if none differed; 1 remains after Holm's correction.
    """
    apart = sum(row.excludes_zero for row in rows)
    remain = sum(row.holm for row in rows)
    open_ones = sum(row.excludes_zero and not row.settled for row in rows)
    text = (
        f"Of {len(rows)} pair{'s' * (len(rows) != 1)}, {apart} exclude{'s' * (apart == 1)} zero; "
        f"{LEVEL * len(rows):.2g} would by chance alone if none differed; "
        f"{remain} remain{'s' * (remain == 1)} after Holm's correction."
    )
    if open_ones:
        text += (
            f" In {open_ones} of those that exclude zero, a side has one seed: another seed may give another result."
        )
    return text


def summary(rows: Sequence[Difference]) -> dict[str, Any]:
    """Return the pairs by name, as in the metrics file."""
    fields = ("difference", "low", "high", "ahead", "p", "distinct", "holm")
    return {f"{row.first} - {row.second}": {f: getattr(row, f) for f in fields} for row in rows}


def _measure(
    name: str, found: Scores, clips: Sequence[str], labels: NDArray[np.uint8], drawn: Resamples, seed: int
) -> Measured:
    """Measure an experiment on ``clips``. Labels and resamples have the same order."""
    row_of = {clip: row for row, clip in enumerate(found.clip_ids)}
    scores = found.values[:, [row_of[clip] for clip in clips]]
    seeds = draw_seeds(len(scores), drawn.counts.shape[1], seed, name)
    try:
        each = np.array([macro_roc_auc(values, labels) for values in scores])
        return Measured(each, bootstrap_over_seeds(scores, labels, drawn, seeds))
    except EvaluationError as error:
        raise EvaluationError(f"{name}: {error}") from None


def _difference(
    pair: tuple[str, str], measured: Mapping[str, Measured], counts: tuple[int, int], settled: bool
) -> Difference:
    """Return the difference of two experiments that were measured. counts: of clips and of songs."""
    first, second = (measured[name] for name in pair)
    try:
        low, high = interval_over_seeds(first, second)
    except EvaluationError as error:
        raise EvaluationError(f"{pair[0]} and {pair[1]}: {error}") from None
    samples = first.samples - second.samples
    known = samples[~np.isnan(samples)]
    ahead = float(np.mean(known > 0) + np.mean(known == 0) / 2)
    clips, songs = counts
    p = p_value(first, second, songs)
    return Difference(*pair, clips, first.mean - second.mean, low, high, ahead, p, settled, songs=songs)
