"""The paired bootstrap: what two experiments have in common cancels."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.comparison import Scored, compare, summary, table
from earmark.evaluation import bootstrap_macro_roc_auc, interval, macro_roc_auc, song_weights

CLIPS = [f"{i}" for i in range(120)]
SONGS = {clip: f"song {int(clip) // 2}" for clip in CLIPS}


def problem(seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.random((120, 5)) < 0.4).astype(np.uint8)
    weak = targets * 0.5 + rng.normal(0, 0.6, targets.shape)
    better = weak + 0.15 * targets
    return dict(zip(CLIPS, targets, strict=True)), weak, better


def test_a_small_but_steady_advantage_is_distinct_where_the_intervals_overlap():
    targets, weak, better = problem()
    (row,) = compare({"weak": Scored(CLIPS, weak), "better": Scored(CLIPS, better)}, targets, SONGS, 500, 1)
    labels = np.stack(list(targets.values()))
    assert row.difference == pytest.approx(macro_roc_auc(weak, labels) - macro_roc_auc(better, labels))
    assert row.low <= row.difference <= row.high < 0
    assert row.distinct
    assert row.ahead < 0.01
    weights = song_weights(np.arange(120) // 2, 500, 1)
    low = interval(bootstrap_macro_roc_auc(better, labels, weights))[0]
    high = interval(bootstrap_macro_roc_auc(weak, labels, weights))[1]
    assert low < high


def test_an_experiment_against_itself_does_not_differ():
    targets, weak, _ = problem()
    (row,) = compare({"a": Scored(CLIPS, weak), "b": Scored(CLIPS, weak.copy())}, targets, SONGS, 50, 1)
    assert (row.difference, row.low, row.high, row.distinct) == (0, 0, 0, False)


def test_the_order_of_clips_is_immaterial_and_clips_that_one_lacks_are_left_out():
    targets, weak, better = problem()
    straight = compare(
        {"a": Scored(CLIPS[:100], weak[:100]), "b": Scored(CLIPS[:100], better[:100])}, targets, SONGS, 50, 1
    )
    shuffled = np.random.default_rng(2).permutation(120)
    mixed = Scored([CLIPS[i] for i in shuffled], better[shuffled])
    assert compare({"a": Scored(CLIPS[:100], weak[:100]), "b": mixed}, targets, SONGS, 50, 1) == straight
    assert straight[0].clips == 100


def test_every_pair_has_a_name_of_its_own_and_the_better_one_stands_first_in_the_table():
    targets, weak, better = problem()
    found = {"a": Scored(CLIPS, weak), "b": Scored(CLIPS, better), "c": Scored(CLIPS, -weak)}
    rows = compare(found, targets, SONGS, 50, 1)
    assert list(summary(rows)) == ["a - b", "a - c", "b - c"]
    assert summary(rows)["a - b"]["difference"] < 0
    assert [row[:2] for row in table(rows)] == [("b", "c"), ("a", "c"), ("b", "a")]
    assert [row[-1] for row in table(rows)] == ["yes", "yes", "yes"]
