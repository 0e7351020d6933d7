"""The paired bootstrap: what makes a resample easy for both experiments cancels out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.sealed import sealed, unsealed

from earmark.bench import comparing
from earmark.corpus.label_table import Labelled, write_labels
from earmark.corpus.manifest import TagTable
from earmark.evaluation import comparison
from earmark.evaluation.bootstrap import bootstrap_macro_roc_auc, bootstrap_over_seeds, interval, resample
from earmark.evaluation.comparison import Difference, compare, compare_files, corrected, summary, verdict
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc
from earmark.evaluation.scoring import Scores, write_scores
from earmark.features.dataset import Split

CLIPS = [f"{i}" for i in range(120)]
SONGS = {clip: f"song {int(clip) // 2}" for clip in CLIPS}


def scored(clips, *each):
    """Scores of tags a, b, c, ... by a network of one seed or, if there are several ``each``, of several."""
    values = np.stack(each)
    return Scores(tuple(clips), tuple("abcdefghij"[: values.shape[2]]), tuple(range(1, len(each) + 1)), values)


def problem(seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.random((120, 5)) < 0.4).astype(np.uint8)
    weak = targets * 0.5 + rng.normal(0, 0.6, targets.shape)
    better = weak + 0.15 * targets
    return dict(zip(CLIPS, targets, strict=True)), weak, better


def test_a_small_but_steady_advantage_is_distinct_where_the_intervals_overlap():
    targets, weak, better = problem()
    (row,) = compare({"weak": scored(CLIPS, weak), "better": scored(CLIPS, better)}, targets, SONGS, 500, 1)
    labels = np.stack(list(targets.values()))
    assert row.difference == pytest.approx(macro_roc_auc(weak, labels) - macro_roc_auc(better, labels))
    assert row.low <= row.difference <= row.high < 0
    assert row.excludes_zero
    assert row.ahead < 0.01
    drawn = resample(np.arange(120) // 2, 500, 1)
    low = interval(bootstrap_macro_roc_auc(better, labels, drawn))[0]
    high = interval(bootstrap_macro_roc_auc(weak, labels, drawn))[1]
    assert low < high


def test_an_experiment_against_itself_does_not_differ():
    targets, weak, _ = problem()
    (row,) = compare({"a": scored(CLIPS, weak), "b": scored(CLIPS, weak.copy())}, targets, SONGS, 50, 1)
    assert (row.difference, row.low, row.high, row.p, row.distinct) == (0, 0, 0, 1, "no")


def test_the_order_of_clips_is_immaterial_and_clips_that_one_lacks_are_left_out():
    targets, weak, better = problem()
    straight = compare(
        {"a": scored(CLIPS[:100], weak[:100]), "b": scored(CLIPS[:100], better[:100])}, targets, SONGS, 50, 1
    )
    shuffled = np.random.default_rng(2).permutation(120)
    mixed = scored([CLIPS[i] for i in shuffled], better[shuffled])
    assert compare({"a": scored(CLIPS[:100], weak[:100]), "b": mixed}, targets, SONGS, 50, 1) == straight
    assert straight[0].clips == 100


def test_every_pair_has_a_name_of_its_own_in_the_order_of_the_experiments():
    targets, weak, better = problem()
    found = {"a": scored(CLIPS, weak), "b": scored(CLIPS, better), "c": scored(CLIPS, -weak)}
    rows = compare(found, targets, SONGS, 50, 1)
    assert list(summary(rows)) == ["a - b", "a - c", "b - c"]
    assert summary(rows)["a - b"]["difference"] < 0


def several(clips=90):
    """Four experiments, ties and rare tags among their scores; two of them lack clips, each its own."""
    experiments, targets, songs = comparing.problem(4, clips, 30, 6)
    coarse = {name: scored(found.clip_ids, np.round(found.values[0], 1)) for name, found in experiments.items()}
    lacking = {"experiment 2": [7], "experiment 3": [7, 60]}
    for name, rows in lacking.items():
        ids = [clip for row, clip in enumerate(coarse[name].clip_ids) if row not in rows]
        coarse[name] = scored(ids, np.delete(coarse[name].values[0], rows, axis=0))
    return coarse, targets, songs


def test_every_pair_is_compared_as_if_there_were_no_others_whatever_clips_its_experiments_lack():
    experiments, targets, songs = several()
    rows = compare(experiments, targets, songs, 200, 3)
    assert [row.clips for row in rows] == [90, 89, 88, 89, 88, 88]
    alone = [comparing.pairwise(row.first, row.second, experiments, targets, songs, 200, 3) for row in rows]
    assert rows == corrected(alone)


def test_an_experiment_is_measured_once_on_each_set_of_clips(monkeypatch):
    measured = []

    def spy(scores, labels, *drawn):
        measured.append(scores.shape[1])
        return bootstrap_over_seeds(scores, labels, *drawn)

    monkeypatch.setattr(comparison, "bootstrap_over_seeds", spy)
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
        compare({"diverged": scored(CLIPS, broken), "b": scored(CLIPS, better)}, targets, SONGS, 20, 1)
    strange = scored([*CLIPS[:-1], "gone"], weak)
    with pytest.raises(EvaluationError, match=r"1 clips that old scored have no labels, 'gone'.*repro evaluate@old"):
        compare({"old": strange, "b": scored(CLIPS, better)}, targets, SONGS, 20, 1)
    halves = {"a": scored(CLIPS[:60], weak[:60]), "b": scored(CLIPS[60:], better[60:])}
    with pytest.raises(EvaluationError, match="a and b have no clip in common"):
        compare(halves, targets, SONGS, 20, 1)


def draws(rng, truth, targets, seeds):
    """Scores of one network from some seeds: each is a little better or worse at all tags, and noisy for itself."""
    return [truth + rng.normal(0, 0.35) * targets + rng.normal(0, 0.1, truth.shape) for _ in range(seeds)]


def called_apart(seeds, trials=60, unseeded=()):
    """The pairs of two draws of one network, which do not differ in truth, on as many corpora as ``trials``."""
    rows = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        targets = (rng.random((80, 4)) < 0.4).astype(np.uint8)
        truth = targets + rng.normal(0, 1, targets.shape)
        clips = CLIPS[:80]
        pair = {name: scored(clips, *draws(rng, truth, targets, seeds)) for name in "ab"}
        rows += compare(pair, dict(zip(clips, targets, strict=True)), SONGS, 100, 1, unseeded)
    return rows


def test_two_draws_of_one_network_are_told_apart_at_the_nominal_rate_with_five_seeds_and_all_too_often_with_one():
    five = called_apart(5)
    assert np.mean([row.distinct == "yes" for row in five]) < 0.15  # 0.05, of 60 trials
    assert np.mean([row.p < 0.05 for row in five]) < 0.15
    one = called_apart(1, trials=20)
    assert np.mean([row.excludes_zero for row in one]) > 0.6
    assert {row.distinct for row in one} == {"cannot tell: one seed", "no"}
    assert {row.distinct for row in called_apart(1, 20, unseeded=("a",))} == {"cannot tell: one seed", "no"}
    assert {row.distinct for row in called_apart(1, 20, unseeded=("a", "b"))} == {"yes", "no"}


def test_an_advantage_of_many_seeds_is_the_difference_of_their_means_and_told():
    targets, weak, better = problem()
    labels = np.stack(list(targets.values()))
    rng = np.random.default_rng(5)
    pair = {
        name: scored(CLIPS, *(values + rng.normal(0, 0.05, values.shape) for _ in range(5)))
        for name, values in (("weak", weak), ("better", better))
    }
    (row,) = compare(pair, targets, SONGS, 200, 1)
    means = [np.mean([macro_roc_auc(values, labels) for values in found.values]) for found in pair.values()]
    assert row.difference == pytest.approx(means[0] - means[1])
    assert (row.distinct, row.holm) == ("yes", True)
    assert row.p < 0.01
    assert compare(pair, targets, SONGS, 200, 1) == [row]


def pair_of(p, low=0.01, settled=True):
    return Difference("a", "b", 84, 0.05, low, 0.08, 0.99, p, settled)


def test_holm_stops_at_the_first_pair_that_fails_and_leaves_the_order():
    rows = corrected([pair_of(0.04), pair_of(0.001), pair_of(0.03), pair_of(0.012)])
    assert [row.holm for row in rows] == [False, True, False, True]  # 0.05 / 4, / 3, and 0.03 is above / 2
    assert [row.p for row in rows] == [0.04, 0.001, 0.03, 0.012]
    assert not corrected([pair_of(0.02), pair_of(0.02), pair_of(0.02)])[0].holm
    assert corrected([]) == []


def test_the_verdict_counts_what_excludes_zero_what_chance_would_and_what_remains():
    rows = corrected([pair_of(0.001, settled=False), pair_of(0.03), pair_of(0.6, low=-0.2)])
    assert verdict(rows) == (
        "Of 3 pairs, 2 exclude zero; 0.15 would by chance alone if none differed; 1 remains after Holm's correction. "
        "In 1 of those that exclude zero, a side has one seed: another seed may give another result."
    )


def files(folder, names="abc"):
    """The files of experiments a, b and c, of which b and c have labels of their own."""
    targets, weak, better = problem()
    table = TagTable(tuple(CLIPS), tuple("abcde"), np.stack(list(targets.values())))
    clips = [Labelled(clip, SONGS[clip], "x", "test") for clip in CLIPS]
    for name, values in zip(names, (weak, better, better + weak), strict=True):
        split = Split(torch.zeros(120, 1, 1), torch.from_numpy(table.values), tuple(clips), table.tags, 0)
        write_scores(folder / f"{name}.csv", split, values[None], (1,))
    labels = {"a": folder / "all/labels.csv", "b": folder / "few/labels.csv", "c": folder / "few/labels.csv"}
    for file in labels.values():
        write_labels(file, clips, table)
    return labels


def test_experiments_are_compared_with_those_of_the_same_labels_alone(tmp_path):
    labels = files(tmp_path)
    (row,) = compare_files(tmp_path, labels, (), 50, 1)
    assert (row.first, row.second, row.clips) == ("b", "c", 120)
    (tmp_path / "a.csv").unlink()  # alone on its labels
    assert compare_files(tmp_path, labels, (), 50, 1) == [row]
    assert compare_files(tmp_path, {"b": labels["b"]}, (), 50, 1) == []


def test_of_many_experiments_each_is_compared_with_the_best_on_the_validation_split_and_few_are_held(
    tmp_path, monkeypatch
):
    labels = files(tmp_path)
    for number in range(4):
        labels[f"copy-{number}"] = labels["b"]
        (tmp_path / f"copy-{number}.csv").write_text((tmp_path / "b.csv").read_text())
    all_pairs = compare_files(tmp_path, labels, (), 50, 1)
    assert len(all_pairs) == 15
    read, original = [], comparison.read_scores
    monkeypatch.setattr(comparison, "read_scores", lambda path: read.append(path.stem) or original(path))
    monkeypatch.setattr(comparison, "ALL", 6)
    assert compare_files(tmp_path, labels, (), 50, 1) == all_pairs
    assert len(read) == 6
    monkeypatch.setattr(comparison, "ALL", 2)
    validation = {"b": 0.7, "c": 0.8, "copy-1": 0.9}  # a fusion has none
    rows = compare_files(tmp_path, labels, (), 50, 1, validation=validation)
    assert [row.first if row.second == "copy-1" else row.second for row in rows] == [
        "b", "c", "copy-0", "copy-2", "copy-3",
    ]  # fmt: skip
    expected = {(row.first, row.second): row.difference for row in all_pairs}
    assert all(row.difference == expected[row.first, row.second] for row in rows)


def test_holm_counts_the_pairs_of_all_labels_together(tmp_path, monkeypatch):
    labels = files(tmp_path)
    (alone,) = compare_files(tmp_path, labels, (), 200, 1)
    monkeypatch.setattr(comparison, "LEVEL", 2 * alone.p)  # enough for one pair, and not for one of four
    assert compare_files(tmp_path, labels, (), 200, 1)[0].holm
    for copy in ("all", "more"):
        labels[copy] = labels["a"]
        (tmp_path / f"{copy}.csv").write_text((tmp_path / "a.csv").read_text())
    rows = compare_files(tmp_path, labels, (), 200, 1)
    assert [(row.first, row.second) for row in rows] == [("a", "all"), ("a", "more"), ("all", "more"), ("b", "c")]
    assert not rows[-1].holm


def test_scores_of_other_tags_than_the_labels_are_refused(tmp_path):
    labels = files(tmp_path)
    text = unsealed(tmp_path / "b.csv")
    sealed(tmp_path / "b.csv", text.replace("seed,a,b", "seed,b,a", 1))
    with pytest.raises(EvaluationError, match=r"the scores of b are of other tags than .*few.*`dvc repro evaluate@b`"):
        compare_files(tmp_path, labels, (), 50, 1)
