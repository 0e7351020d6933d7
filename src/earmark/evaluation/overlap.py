"""One experiment in two versions: compared on the clips and tags that both have, and told where they differ.

The versions may have been labelled differently: other tags, other clips, other values. Scores of both are measured
against the same labels, those of the first version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earmark.corpus.label_table import Labelled
from earmark.corpus.manifest import TagTable
from earmark.evaluation.comparison import Difference, compare
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc
from earmark.evaluation.scoring import Scores


@dataclass(frozen=True)
class Version:
    """An experiment as it is at one place.

    where: the place, for texts. scores: of its test clips. clips, table: its labels, rows in the same order.
    seeded: whether other seeds would give other scores.
    """

    where: str
    scores: Scores
    clips: Sequence[Labelled]
    table: TagTable
    seeded: bool

    def targets(self, clip_ids: Sequence[str], tags: Sequence[str]) -> NDArray[np.uint8]:
        """Return the labels of clips and tags, (clips, tags) in {0, 1}.

        Raises EvaluationError if a clip or a tag has none.
        """
        row_of = {clip: row for row, clip in enumerate(self.table.clip_ids)}
        if unknown := [clip for clip in clip_ids if clip not in row_of] + [t for t in tags if t not in self.table.tags]:
            raise EvaluationError(
                f"{self.where}: {len(unknown)} clips or tags with scores have no labels, {unknown[0]!r} for one: the "
                "scores belong to other labels; run `dvc repro`"
            )
        columns = [self.table.tags.index(tag) for tag in tags]
        return self.table.values[np.ix_([row_of[clip] for clip in clip_ids], columns)]


@dataclass(frozen=True)
class Row:
    """What became of an experiment: its mean ROC-AUC here and there, and their difference, here minus there.

    same: whether both have the same scores. note: what the versions do not have in common, empty if they have the same
    clips and labels.
    """

    here: float
    there: float
    found: Difference
    same: bool
    note: str


def across(name: str, here: Version, there: Version, resamples: int, seed: int) -> Row:
    """Compare two versions of the experiment ``name``; resamples, seed: of the bootstrap.

    Raises EvaluationError if they have no clip or no tag in common, or if a clip or a tag with scores has no labels.
    """
    theirs = frozenset(there.scores.clip_ids)
    clips = tuple(clip for clip in here.scores.clip_ids if clip in theirs)
    tags = tuple(tag for tag in here.scores.tags if tag in there.scores.tags)
    if not clips or not tags:
        raise EvaluationError(
            f"{here.where} and {there.where} have no {'tag' if clips else 'clip'} in common that both scored"
        )
    targets = here.targets(clips, tags)
    changed = int((targets != there.targets(clips, tags)).any(axis=1).sum())
    scored = [_restricted(version.scores, clips, tags) for version in (here, there)]
    both = dict(zip(("here", "there"), scored, strict=True))  # names that no revision changes, since seeds follow them
    unseeded = [side for side, version in zip(both, (here, there), strict=True) if not version.seeded]
    songs = {clip.clip_id: clip.song for clip in here.clips}
    (found,) = compare(both, dict(zip(clips, targets, strict=True)), songs, resamples, seed, unseeded)
    means = [float(np.mean([macro_roc_auc(values, targets) for values in side.values])) for side in scored]
    found = replace(found, first=name, second=name)
    same = np.array_equal(scored[0].values, scored[1].values)
    return Row(means[0], means[1], found, same, _note(name, here, there, len(clips), len(tags), changed))


def _restricted(scores: Scores, clips: Sequence[str], tags: Sequence[str]) -> Scores:
    """Return the scores of some clips and tags alone, in their order."""
    rows = {clip: row for row, clip in enumerate(scores.clip_ids)}
    columns = [scores.tags.index(tag) for tag in tags]
    values = scores.values[:, [rows[clip] for clip in clips]][:, :, columns]
    return replace(scores, clip_ids=tuple(clips), tags=tuple(tags), values=values)


def _note(name: str, here: Version, there: Version, clips: int, tags: int, changed: int) -> str:
    """Return a line on what the two versions do not share; clips, tags: how many they do; changed: clips relabelled."""
    parts = [
        f"{len(of) - shared} {what} only {version.where}"
        for what, shared, key in (("tags", tags, "tags"), ("clips", clips, "clip_ids"))
        for version in (here, there)
        if len(of := getattr(version.scores, key)) > shared
    ]
    if changed:
        parts.append(f"labels of {changed} clips differ, and those {here.where} are taken")
    return f"{name}: compared on {clips} clips and {tags} tags; {', '.join(parts)}" if parts else ""
