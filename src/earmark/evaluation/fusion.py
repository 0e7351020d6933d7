"""Late fusion: the scores of several experiments for the same clips and tags, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import expit, logit  # type: ignore[import-untyped]

from earmark.evaluation.metrics import EvaluationError
from earmark.evaluation.scoring import Scores

CLOSEST = 1e-9  # to 0 or 1 that a probability is taken to be for its logit; files hold nine digits


def fused(
    members: Sequence[Scores], of: Literal["probabilities", "logits"], weights: Sequence[float] | None = None
) -> Scores:
    """Return the weighted mean of the members' scores, as of one seed.

    The scores of a member of several seeds are averaged first, as those of its ensemble are. of: ``logits`` averages
    log(p / (1 - p)), and returns the probabilities of the mean. weights: one per member (default: equal). Clips that a
    member did not score are left out; the order is that of the first member.

    Raises EvaluationError if the tags differ, or if no clip is scored by all.

    >>> def one(*values):
    ...     return Scores(("a",), ("flute", "harp"), (1,), np.array([[values]]))
    >>> fused([one(0.2, 0.5), one(0.8, 0.5)], "probabilities", weights=[3, 1]).values.round(3).tolist()
    [[[0.35, 0.5]]]
    >>> fused([one(0.5, 0.1), one(0.9, 0.9)], "logits").values.round(3).tolist()
    [[[0.75, 0.5]]]
    """
    if len({member.tags for member in members}) > 1:
        raise EvaluationError("scores of different tags cannot be averaged; run `dvc repro` for all of the experiments")
    common = set.intersection(*(set(member.clip_ids) for member in members))
    clips = tuple(clip for clip in members[0].clip_ids if clip in common)
    if not clips:
        raise EvaluationError("no clip is scored by all of the experiments")
    rows = [{clip: row for row, clip in enumerate(member.clip_ids)} for member in members]
    means = [m.values.mean(axis=0)[[row[clip] for clip in clips]] for m, row in zip(members, rows, strict=True)]
    if of == "logits":
        values = expit(np.average([logit(mean.clip(CLOSEST, 1 - CLOSEST)) for mean in means], axis=0, weights=weights))
    else:
        values = np.average(means, axis=0, weights=weights)
    return Scores(clips, members[0].tags, (0,), values[None])
