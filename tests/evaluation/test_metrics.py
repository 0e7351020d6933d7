"""Undefined tags count nowhere, thresholds balance recall and specificity, and NaN is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
from helpers.scores import random_problem
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, recall_score, roc_auc_score

from earmark.evaluation.bootstrap import bootstrap_macro_roc_auc, resample, weighted_roc_auc
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.metrics import (
    EvaluationError,
    at_half,
    defined,
    equal_error_thresholds,
    macro_roc_auc,
    per_tag,
    rates,
)


def test_absent_and_ubiquitous_tags_are_undefined_not_zero():
    scores, targets = random_problem()
    roc, pr = per_tag(scores, targets)
    assert defined(targets).tolist() == [True, True, False, True, False, True]
    assert np.isnan(roc[[2, 4]]).all()
    assert np.isnan(pr[[2, 4]]).all()
    for tag in (0, 1, 3, 5):
        assert roc[tag] == roc_auc_score(targets[:, tag], scores[:, tag])
        assert pr[tag] == average_precision_score(targets[:, tag], scores[:, tag])
    assert macro_roc_auc(scores, targets) == pytest.approx(roc[[0, 1, 3, 5]].mean())


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(EvaluationError, match="of 2 tags on 3 clips none has both"):
        macro_roc_auc(np.zeros((3, 2)), np.zeros((3, 2)))


def test_at_the_equal_error_threshold_recall_is_specificity():
    scores, targets = random_problem(3, clips=4000)
    scores = scores + np.random.default_rng(1).random(scores.shape) * 1e-3  # no ties
    thresholds = equal_error_thresholds(scores, targets)
    assert np.isnan(thresholds).tolist() == [False, False, True, False, True, False]
    for tag in (0, 1, 3, 5):
        found, positive = scores[:, tag] >= thresholds[tag], targets[:, tag] > 0
        assert found[positive].mean() == pytest.approx(1 - found[~positive].mean(), abs=2e-3)
    at = rates(scores, targets, thresholds)
    assert at["tpr"] == pytest.approx(1 - at["fpr"], abs=2e-3)
    assert at["tags"] == 4


def test_thresholds_of_another_split_serve_the_tags_that_have_one():
    scores, targets = random_problem()
    thresholds = np.array([0.5, np.nan, 0.5, 0.5, 0.5, 0.5])
    found = rates(scores, targets, thresholds)
    assert found["tags"] == 3
    expected = [(scores[targets[:, tag] > 0, tag] >= 0.5).mean() for tag in (0, 3, 5)]
    assert found["tpr"] == pytest.approx(np.mean(expected))
    result = evaluate(scores, targets, np.arange(60), tuple("abcdef"), 9, 1, thresholds)
    assert result.summary["equal_error"]["chosen_on_valid"] == found
    assert [row[4] for row in result.tags] == [0.5, "", 0.5, 0.5, 0.5, 0.5]
    assert rates(scores, targets, np.full(6, np.nan)) == {"tags": 0}


def test_accuracy_and_loss_at_one_half_are_scikit_learns():
    scores, targets = random_problem()
    scores = np.clip(scores, 0.01, 0.99)
    found = at_half(scores, targets)
    assert found["accuracy"] == pytest.approx(accuracy_score(targets.ravel() > 0, scores.ravel() >= 0.5))
    assert found["loss"] == pytest.approx(log_loss(targets.ravel(), scores.ravel()))


def test_a_tag_with_one_score_for_all_clips_has_no_threshold_and_is_left_out_of_the_rates():
    scores, targets = random_problem()
    scores[:, 1] = 0.25
    thresholds = equal_error_thresholds(scores, targets)
    assert np.isnan(thresholds).tolist() == [False, True, True, False, True, False]
    assert not np.isinf(thresholds).any()
    rest = [0, 3, 5]
    assert rates(scores, targets, thresholds) == rates(scores[:, rest], targets[:, rest], thresholds[rest])
    result = evaluate(scores, targets, np.arange(60), tuple("abcdef"), 9, 1, thresholds)
    assert [result.summary["equal_error"][f"chosen_on_{split}"]["tags"] for split in ("test", "valid")] == [3, 3]
    assert result.tags[1][2:] == [0.5, pytest.approx(targets[:, 1].mean(), abs=1e-6), ""]
    assert rates(scores[:, [1]], targets[:, [1]], thresholds[[1]]) == {"tags": 0}


def test_thresholds_are_finite_wherever_two_scores_differ():
    rng = np.random.default_rng(4)
    for _ in range(200):
        targets = np.r_[0, 1, rng.integers(0, 2, 4)][:, None]
        scores = rng.integers(0, 2, 6)[:, None] / 2
        (threshold,) = equal_error_thresholds(scores, targets)
        assert np.isnan(threshold) if np.ptp(scores) == 0 else threshold in scores


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_with_the_tag_and_how_many(value):
    scores, targets = random_problem()
    scores[[1, 2, 5], 3] = value
    scores[0, 5] = value
    with pytest.raises(EvaluationError, match=r"3 of 60 of tag 'd' are NaN or infinite, and .* 1 other tag;"):
        evaluate(scores, targets, np.arange(60), tuple("abcdef"), 9, 1)
    everything = {
        per_tag: (), macro_roc_auc: (), at_half: (), equal_error_thresholds: (),
        rates: (np.full(6, 0.5),), bootstrap_macro_roc_auc: (resample(np.arange(60), 9, 1),),
    }  # fmt: skip
    for measure, more in everything.items():
        with pytest.raises(EvaluationError, match="3 of 60 of tag number 3 are NaN or infinite"):
            measure(scores, targets, *more)


CASES = 10_000 if os.environ.get("TORTURE") else 1_000


def test_rates_per_tag_are_scikit_learns_in_random_cases_with_ties_and_absent_tags():
    chance = np.random.default_rng(19)
    for case in range(CASES // 10):  # ten tags each
        clips, levels = int(chance.integers(1, 30)), int(chance.integers(1, 9))
        scores = chance.integers(0, levels, (clips, 10)) / levels  # ties; all equal where there is one level
        targets = (chance.random((clips, 10)) < chance.random(10)).astype(np.float64)
        both = (targets.min(axis=0) == 0) & (targets.max(axis=0) == 1)
        found = dict(zip(("roc", "pr"), per_tag(scores, targets), strict=True))
        theirs = {"roc": roc_auc_score, "pr": average_precision_score}
        for name, values in found.items():
            np.testing.assert_array_equal(np.isfinite(values), both, err_msg=f"case {case}")
            for tag in np.flatnonzero(both):
                assert values[tag] == pytest.approx(theirs[name](targets[:, tag], scores[:, tag]), abs=1e-12)


def test_weighted_rates_are_scikit_learns():
    """The bootstrap counts every clip as often as its song is drawn: these are weights."""
    chance = np.random.default_rng(20)
    for _ in range(CASES // 50):  # fifty resamples each
        clips = int(chance.integers(2, 30))
        songs = chance.integers(0, clips, clips)
        scores, targets = chance.integers(0, 5, clips) / 5, chance.integers(0, 2, clips)
        if not 0 < targets.sum() < clips:
            continue
        drawn = resample(songs, 50, int(chance.integers(2**31)))
        ours = weighted_roc_auc(scores, targets, drawn)
        for number, weights in enumerate(drawn.counts.T[:, drawn.songs]):
            if not 0 < (weights * targets).sum() < weights.sum():
                assert np.isnan(ours[number])
                continue
            expected = roc_auc_score(targets, scores, sample_weight=weights)
            assert ours[number] == pytest.approx(expected, abs=1e-12)


def test_all_that_is_measured_is_scikit_learns():
    chance = np.random.default_rng(21)
    for _ in range(CASES // 100):  # ten tags each, of which some are in no clip or in all
        clips = int(chance.integers(2, 30))
        scores = chance.integers(0, 5, (clips, 10)) / 4
        targets = (chance.random((clips, 10)) < chance.choice([0.0, 0.2, 0.6, 1.0], 10)).astype(np.float64)
        mask = defined(targets)
        if not mask.any():
            continue
        thresholds = chance.random(10)
        found = evaluate(scores, targets, np.arange(clips), tuple("abcdefghij"), 2, 1, thresholds).summary
        y, s = targets[:, mask], scores[:, mask]
        assert found["roc_auc"]["macro"] == pytest.approx(roc_auc_score(y, s, average="macro"), abs=1e-12)
        assert found["roc_auc"]["micro"] == pytest.approx(roc_auc_score(y.ravel(), s.ravel()), abs=1e-12)
        assert found["pr_auc"]["macro"] == pytest.approx(average_precision_score(y, s, average="macro"), abs=1e-12)
        decided = (s >= thresholds[mask]).astype(np.float64)
        at = found["equal_error"]["chosen_on_valid"]
        told = {"average": "macro", "zero_division": 0}
        assert at["tpr"] == pytest.approx(recall_score(y, decided, **told), abs=1e-12)
        assert at["fpr"] == pytest.approx(1 - recall_score(1 - y, 1 - decided, **told), abs=1e-12)
        assert at["tags"] == mask.sum()


def test_equal_scores_tell_nothing_and_are_defined():
    targets = np.array([[1.0], [0.0], [0.0], [0.0]])
    roc, pr = per_tag(np.full((4, 1), 0.3), targets)
    assert (roc.tolist(), pr.tolist()) == ([0.5], [0.25])


def test_one_clip_defines_no_tag():
    with pytest.raises(EvaluationError, match="no tag can be evaluated"):
        macro_roc_auc(np.array([[0.2, 0.9]]), np.array([[0.0, 1.0]]))
