"""The paired bootstrap: what makes a resample easy for both experiments cancels out."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.bench import comparing
from earmark.evaluation import comparison
from earmark.evaluation.bootstrap import bootstrap_macro_roc_auc, interval, resample
from earmark.evaluation.comparison import Scored, compare, summary
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc

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
    drawn = resample(np.arange(120) // 2, 500, 1)
    low = interval(bootstrap_macro_roc_auc(better, labels, drawn))[0]
    high = interval(bootstrap_macro_roc_auc(weak, labels, drawn))[1]
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


def test_every_pair_has_a_name_of_its_own_in_the_order_of_the_experiments():
    targets, weak, better = problem()
    found = {"a": Scored(CLIPS, weak), "b": Scored(CLIPS, better), "c": Scored(CLIPS, -weak)}
    rows = compare(found, targets, SONGS, 50, 1)
    assert list(summary(rows)) == ["a - b", "a - c", "b - c"]
    assert summary(rows)["a - b"]["difference"] < 0


def several(clips=90):
    """Four experiments, ties and rare tags among their scores; two of them lack clips, each its own."""
    experiments, targets, songs = comparing.problem(4, clips, 30, 6)
    coarse = {name: Scored(found.clip_ids, np.round(found.scores, 1)) for name, found in experiments.items()}
    lacking = {"experiment 2": [7], "experiment 3": [7, 60]}
    for name, rows in lacking.items():
        ids = [clip for row, clip in enumerate(coarse[name].clip_ids) if row not in rows]
        coarse[name] = Scored(ids, np.delete(coarse[name].scores, rows, axis=0))
    return coarse, targets, songs


def test_every_pair_is_compared_as_if_there_were_no_others_whatever_clips_its_experiments_lack():
    experiments, targets, songs = several()
    rows = compare(experiments, targets, songs, 200, 3)
    assert [row.clips for row in rows] == [90, 89, 88, 89, 88, 88]
    assert rows == [comparing.pairwise(row.first, row.second, experiments, targets, songs, 200, 3) for row in rows]


def test_an_experiment_is_measured_once_on_each_set_of_clips(monkeypatch):
    measured = []

    def spy(scores, labels, drawn):
        measured.append(len(scores))
        return bootstrap_macro_roc_auc(scores, labels, drawn)

    monkeypatch.setattr(comparison, "bootstrap_macro_roc_auc", spy)
    experiments, targets, songs = several()
    compare(experiments, targets, songs, 20, 3)
    assert sorted(measured) == [88] * 4 + [89] * 3 + [90] * 2
    measured.clear()
    compare({name: experiments[name] for name in list(experiments)[:2]}, targets, songs, 20, 3)
    assert measured == [90, 90]


def test_scores_that_are_no_numbers_or_belong_to_other_labels_are_refused_by_name():
    targets, weak, better = problem()
    broken = weak.copy()
    broken[[3, 4], 2] = np.nan
    with pytest.raises(EvaluationError, match="diverged: scores must be finite, but 2 of 120 of tag number 2"):
        compare({"diverged": Scored(CLIPS, broken), "b": Scored(CLIPS, better)}, targets, SONGS, 20, 1)
    strange = Scored([*CLIPS[:-1], "gone"], weak)
    with pytest.raises(EvaluationError, match=r"1 clips that old scored have no labels, 'gone'.*repro evaluate@old"):
        compare({"old": strange, "b": Scored(CLIPS, better)}, targets, SONGS, 20, 1)
    halves = {"a": Scored(CLIPS[:60], weak[:60]), "b": Scored(CLIPS[60:], better[60:])}
    with pytest.raises(EvaluationError, match="a and b have no clip in common"):
        compare(halves, targets, SONGS, 20, 1)
