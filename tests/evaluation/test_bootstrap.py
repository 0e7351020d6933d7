"""The bootstrap draws whole songs, and its weighted ROC-AUC is scikit-learn's."""

from __future__ import annotations

import numpy as np
from helpers.scores import random_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from earmark.evaluation.bootstrap import Resamples, bootstrap_macro_roc_auc, interval, resample, weighted_roc_auc
from earmark.evaluation.metrics import macro_roc_auc


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_the_weighted_auc_is_scikit_learns_with_ties_and_weights(seed):
    rng = np.random.default_rng(seed)
    targets = np.r_[0, 1, rng.integers(0, 2, 28)].astype(float)
    scores = np.round(rng.random(30), 1)
    songs = np.r_[0, 1, rng.integers(0, 12, 28)]
    counts = rng.integers(0, 4, (12, 3)).astype(np.int32)
    counts[:2] = 1
    expected = [roc_auc_score(targets, scores, sample_weight=counts[songs, i]) for i in range(3)]
    np.testing.assert_allclose(weighted_roc_auc(scores, targets, Resamples(songs, counts)), expected, rtol=1e-12)


def test_a_resample_that_lacks_a_class_is_undefined():
    drawn = Resamples(np.arange(2), np.array([[1, 2], [0, 1]], np.int32))
    auc = weighted_roc_auc(np.r_[0.1, 0.9], np.r_[0.0, 1.0], drawn)
    assert np.isnan(auc[0])
    assert auc[1] == 1


def test_the_bootstrap_draws_songs_whole():
    songs = np.array([0, 0, 1, 2, 2, 2])
    drawn = resample(songs, 500, seed=3)
    np.testing.assert_array_equal(drawn.songs, songs)
    assert drawn.counts.shape == (3, 500)
    np.testing.assert_array_equal(drawn.counts.sum(axis=0), 3)
    np.testing.assert_array_equal(resample(songs, 500, seed=3).counts, drawn.counts)
    assert (resample(songs, 500, seed=4).counts != drawn.counts).any()


def test_more_resamples_than_a_block_begin_as_fewer_do():
    scores, targets = random_problem()
    few, many = (bootstrap_macro_roc_auc(scores, targets, resample(np.arange(60), n, 1)) for n in (50, 600))
    assert len(many) == 600
    np.testing.assert_array_equal(many[:50], few)


def test_the_interval_holds_the_estimate_and_narrows_with_more_songs():
    def width(clips):
        scores, targets = random_problem(1, clips)
        samples = bootstrap_macro_roc_auc(scores, targets, resample(np.arange(clips) // 2, 400, 1))
        low, high = interval(samples)
        assert low < macro_roc_auc(scores, targets) < high
        return high - low

    assert width(1600) < 0.6 * width(200)
