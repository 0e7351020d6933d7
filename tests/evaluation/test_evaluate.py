"""The summary, the table of tags and the ROC curve of a split; which inputs are refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scores import random_problem
from sklearn.metrics import roc_auc_score

from earmark.evaluation.bootstrap import bootstrap_macro_roc_auc, interval, resample
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.metrics import EvaluationError, defined


def test_a_perfect_ranking_and_its_summary():
    targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    result = evaluate(targets.astype(float), targets, np.array([0, 0, 1, 1]), ("a", "b"), 50, 1)
    assert result.summary["roc_auc"] == {"macro": 1, "low": 1, "high": 1, "micro": 1}
    assert result.summary["pr_auc"] == {"macro": 1}
    assert result.summary["tags"] == {"defined": 2, "undefined": 0}
    assert (result.summary["clips"], result.summary["songs"]) == (4, 2)
    assert result.tags == [["a", 2, 1.0, 1.0, ""], ["b", 2, 1.0, 1.0, ""]]
    assert result.summary["equal_error"] == {"chosen_on_test": {"tpr": 1, "fpr": 0, "tags": 2}}
    assert result.roc[0] == [0, 1]


def test_undefined_tags_are_counted_and_their_cells_empty():
    scores, targets = random_problem()
    result = evaluate(scores, targets, np.arange(60), tuple("abcdef"), 50, 1)
    assert result.summary["tags"] == {"defined": 4, "undefined": 2}
    assert result.tags[2] == ["c", 0, "", "", ""]
    assert result.tags[4] == ["e", 60, "", "", ""]
    assert len(result.roc) == 101


def test_micro_auc_pools_all_cells_of_the_defined_tags():
    scores, targets = random_problem()
    mask = defined(targets)
    expected = roc_auc_score(targets[:, mask].ravel(), scores[:, mask].ravel())
    assert evaluate(scores, targets, np.arange(60), tuple("abcdef"), 9, 1).summary["roc_auc"]["micro"] == expected


def test_songs_may_be_names_and_tags_have_numbers_for_names():
    scores, targets = random_problem()
    songs = np.arange(60) // 2
    named = evaluate(scores, targets, [f"song {song}" for song in songs], tuple("abcdef"), 50, 1)
    numbered = evaluate(scores.tolist(), targets.astype(bool), 7 * songs[::-1], resamples=50)
    assert numbered.summary["songs"] == 30
    assert numbered.summary == named.summary
    assert [row[0] for row in numbered.tags] == ["0", "1", "2", "3", "4", "5"]


def test_inputs_of_other_clips_are_refused():
    scores, targets = random_problem()
    with pytest.raises(EvaluationError, match=r"got \(60, 6\) and \(59, 6\), 60 songs and 6 names"):
        evaluate(scores, targets[1:], np.arange(60))
    with pytest.raises(EvaluationError, match="58 songs and 6 names"):
        evaluate(scores, targets, np.arange(58))
    with pytest.raises(EvaluationError, match="60 songs and 2 names"):
        evaluate(scores, targets, np.arange(60), ("a", "b"))


def test_one_seed_is_measured_as_its_scores_without_seeds_are():
    scores, targets = random_problem()
    thresholds = np.linspace(0.2, 0.8, 6)
    plain = evaluate(scores, targets, np.arange(60), resamples=50, thresholds=thresholds)
    assert plain == evaluate(scores[None], targets, np.arange(60), resamples=50, thresholds=thresholds[None])
    assert plain.summary["seeds"] == 1
    assert set(plain.summary["roc_auc"]) == {"macro", "low", "high", "micro"}
    samples = bootstrap_macro_roc_auc(scores, targets, resample(np.arange(60), 50, 1))
    assert (plain.summary["roc_auc"]["low"], plain.summary["roc_auc"]["high"]) == interval(samples)


def several():
    targets = random_problem()[1]
    return np.stack([random_problem(seed)[0] for seed in (0, 1, 2)]), targets


def test_several_seeds_are_summed_up_by_mean_deviation_and_each():
    scores, targets = several()
    found = evaluate(scores, targets, np.arange(60), resamples=200)
    each = [evaluate(values, targets, np.arange(60), resamples=200) for values in scores]
    for name in ("roc_auc", "pr_auc"):
        macro = [one.summary[name]["macro"] for one in each]
        assert found.summary[name]["each"] == macro
        assert found.summary[name]["macro"] == pytest.approx(np.mean(macro))
        assert found.summary[name]["deviation"] == pytest.approx(np.std(macro, ddof=1))
    assert found.summary["roc_auc"]["micro"] == pytest.approx(np.mean([o.summary["roc_auc"]["micro"] for o in each]))
    assert found.summary["half"]["loss"] == pytest.approx(np.mean([one.summary["half"]["loss"] for one in each]))
    tpr = [one.summary["equal_error"]["chosen_on_test"]["tpr"] for one in each]
    assert found.summary["equal_error"]["chosen_on_test"] == pytest.approx(
        {"tpr": np.mean(tpr), "fpr": found.summary["equal_error"]["chosen_on_test"]["fpr"], "tags": 4}
    )
    assert found.summary["seeds"] == 3
    assert found.tags[0][2] == pytest.approx(np.mean([one.tags[0][2] for one in each]), abs=2e-6)
    assert found.roc[50][1] == pytest.approx(np.mean([one.roc[50][1] for one in each]), abs=2e-6)


def test_the_interval_is_over_songs_and_seeds_and_that_of_the_ensemble_over_songs():
    scores, targets = several()
    found = evaluate(scores, targets, np.arange(60), resamples=200).summary
    ensemble = evaluate(scores.mean(axis=0), targets, np.arange(60), resamples=200).summary
    assert found["ensemble"] == {
        "roc_auc": ensemble["roc_auc"]["macro"], "low": ensemble["roc_auc"]["low"],
        "high": ensemble["roc_auc"]["high"], "pr_auc": ensemble["pr_auc"]["macro"],
    }  # fmt: skip
    far_apart = np.stack([scores[0], 1 - scores[0], scores[0]])
    wide, narrow = (evaluate(s, targets, np.arange(60), resamples=200).summary["roc_auc"] for s in (far_apart, scores))
    assert wide["high"] - wide["low"] > 1.2 * (narrow["high"] - narrow["low"])


def test_a_threshold_is_the_mean_over_the_seeds_that_have_one():
    scores, targets = several()
    nan = np.nan
    chosen = np.array([[0.2, nan, nan, 0.5, nan, 0.1], [0.4, nan, nan, nan, nan, 0.1], [0.6, nan, nan, 0.7, nan, 0.1]])
    found = evaluate(scores, targets, np.arange(60), resamples=20, thresholds=chosen)
    assert [row[4] for row in found.tags] == [0.4, "", "", 0.6, "", 0.1]
    assert found.summary["equal_error"]["chosen_on_valid"]["tags"] == pytest.approx(8 / 3)
    with pytest.raises(EvaluationError, match=r"thresholds must be \(seeds, tags\), \(3, 6\).* got \(1, 6\)"):
        evaluate(scores, targets, np.arange(60), resamples=20, thresholds=chosen[0])


def test_a_threshold_that_six_decimals_would_make_0_or_1_keeps_its_digits():
    scores, targets = several()
    chosen = np.array([2e-7, 0.99999998, 0.1234567891, 0.001234567, 1, 0])
    found = evaluate(scores[0], targets, np.arange(60), resamples=20, thresholds=chosen)
    assert [row[4] for row in found.tags] == [2e-7, 0.99999998, 0.123457, 0.001235, 1, 0]


def test_no_seed_at_all_is_refused():
    _, targets = random_problem()
    with pytest.raises(EvaluationError, match=r"got \(0, 60, 6\) and \(60, 6\)"):
        evaluate(np.zeros((0, 60, 6)), targets, np.arange(60))
