"""Two versions of an experiment are compared on what both have, and a line says what only one has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from earmark.corpus.label_table import Labelled
from earmark.corpus.manifest import TagTable
from earmark.evaluation.comparison import compare
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc
from earmark.evaluation.overlap import Version, across
from earmark.evaluation.scoring import Scores

CLIPS = tuple(f"{number}" for number in range(80))
TAGS = ("drums", "flute", "loud")
LABELS = (np.random.default_rng(0).random((80, 3)) < 0.4).astype(np.uint8)


def version(where="here", better=0.0, seeds=(1,), seeded=True, rows=range(80), columns=(0, 1, 2)):
    """A version that has scored and labelled the clips of ``rows`` and the tags of ``columns``, in that order."""
    rng = np.random.default_rng(1)
    values = np.stack([LABELS * (0.5 + better) + rng.normal(0, 0.6, LABELS.shape) for _ in seeds])
    ids, tags = tuple(CLIPS[row] for row in rows), tuple(TAGS[column] for column in columns)
    clips = [Labelled(clip, f"song {int(clip) // 2}", "x", "test") for clip in ids]
    cut = np.ix_(list(rows), list(columns))
    scores = Scores(ids, tags, tuple(seeds), values[:, list(rows)][:, :, list(columns)])
    return Version(where, scores, clips, TagTable(ids, tags, LABELS[cut]), seeded)


def test_versions_of_the_same_clips_and_labels_are_compared_as_two_experiments_are():
    here, there = version(better=0.3), version("in main")
    row = across("cnn", here, there, 200, 1)
    songs = {clip.clip_id: clip.song for clip in here.clips}
    targets = dict(zip(CLIPS, LABELS, strict=True))
    (expected,) = compare({"here": here.scores, "there": there.scores}, targets, songs, 200, 1)
    assert row.found == replace(expected, first="cnn", second="cnn")
    assert row.here == macro_roc_auc(here.scores.values[0], LABELS)
    assert row.found.difference == pytest.approx(row.here - row.there)
    assert row.found.low > 0
    assert row.found.distinct == "cannot tell: one seed"
    assert row.note == ""


def test_a_difference_is_settled_by_seeds_or_by_networks_that_have_none():
    assert across("cnn", version(better=0.3, seeds=(1, 2)), version("in main", seeds=(1, 2)), 100, 1).found.settled
    assert not across("cnn", version(better=0.3, seeds=(1, 2)), version("in main"), 100, 1).found.settled
    assert not across("cnn", version(seeded=False), version("in main"), 100, 1).found.settled
    assert across("cnn", version(seeded=False), version("in main", seeded=False), 100, 1).found.settled


def test_common_clips_and_tags_are_found_by_name_whatever_their_order():
    here = version(better=0.3)
    there = version("in main", rows=range(79, 9, -1), columns=(2, 0))
    row = across("cnn", here, there, 100, 1)
    same = across(
        "cnn", version(better=0.3, rows=range(10, 80), columns=(0, 2)),
        version("in main", rows=range(10, 80), columns=(0, 2)), 100, 1,
    )  # fmt: skip
    assert (row.here, row.there, row.found) == (same.here, same.there, same.found)
    assert row.note == "cnn: compared on 70 clips and 2 tags; 1 tags only here, 10 clips only here"
    assert across("cnn", there, here, 100, 1).note.endswith("1 tags only here, 10 clips only here")


def test_clips_that_were_labelled_anew_are_counted_and_measured_by_the_labels_here():
    there = version("in main")
    values = LABELS.copy()
    values[[3, 5]] = 1 - values[[3, 5]]
    there = replace(there, table=replace(there.table, values=values))
    row = across("cnn", version(better=0.3), there, 100, 1)
    assert row.note == "cnn: compared on 80 clips and 3 tags; labels of 2 clips differ, and those here are taken"
    assert row.there == macro_roc_auc(there.scores.values[0], LABELS)


def test_versions_that_share_nothing_cannot_be_compared():
    with pytest.raises(EvaluationError, match="here and in main have no clip in common that both scored"):
        across("cnn", version(rows=range(40)), version("in main", rows=range(40, 80)), 50, 1)
    with pytest.raises(EvaluationError, match="here and in main have no tag in common that both scored"):
        across("cnn", version(columns=(0,)), version("in main", columns=(1, 2)), 50, 1)


def test_scores_whose_labels_are_others_are_refused():
    stale = replace(version("in main"), table=version(rows=range(60)).table)
    with pytest.raises(EvaluationError, match="in main: 20 clips or tags with scores have no labels, '60' for one"):
        across("cnn", version(), stale, 50, 1)
