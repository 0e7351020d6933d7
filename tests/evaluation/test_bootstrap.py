"""The bootstrap draws whole songs, and its weighted ROC-AUC is scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scores import random_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from earmark.evaluation.bootstrap import (
    Measured,
    Resamples,
    bootstrap_macro_roc_auc,
    bootstrap_over_seeds,
    degrees,
    draw_seeds,
    interval,
    interval_over_seeds,
    p_value,
    resample,
    weighted_roc_auc,
)
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc


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


def test_one_seed_less_than_there_are_is_drawn_so_that_the_variance_of_their_mean_is_unbiased():
    values = np.array([0.3, 0.5, 0.9, 0.4])
    drawn = draw_seeds(4, 40_000, 1, "cnn")
    assert drawn.shape == (40_000, 3)
    np.testing.assert_allclose(values[drawn].mean(axis=1).var(), values.var(ddof=1) / 4, rtol=0.03)


def test_experiments_draw_their_seeds_apart_and_each_always_the_same():
    drawn = draw_seeds(5, 300, 1, "cnn")
    np.testing.assert_array_equal(drawn, draw_seeds(5, 300, 1, "cnn"))
    for other in (draw_seeds(5, 300, 1, "crnn"), draw_seeds(5, 300, 1, "cn"), draw_seeds(5, 300, 2, "cnn")):
        assert np.mean(drawn == other) < 0.3


def test_a_resample_is_the_mean_auc_of_the_seeds_it_drew_on_the_songs_it_drew():
    scores, targets = random_problem()
    several = np.stack([scores, random_problem(1)[0], 1 - scores])
    drawn = resample(np.arange(60) // 2, 40, 1)
    seeds = draw_seeds(3, 40, 1, "cnn")
    each = [bootstrap_macro_roc_auc(values, targets, drawn) for values in several]
    found = bootstrap_over_seeds(several, targets, drawn, seeds)
    assert found == pytest.approx([(each[a][i] + each[b][i]) / 2 for i, (a, b) in enumerate(seeds)])
    one = bootstrap_over_seeds(several[:1], targets, drawn, draw_seeds(1, 40, 1, "cnn"))
    np.testing.assert_array_equal(one, each[0])


def measured(each, spread, resamples=4000, seed=0):
    return Measured(np.array(each), np.mean(each) + np.random.default_rng(seed).normal(0, spread, resamples))


def test_one_seed_each_has_the_percentile_interval_and_the_p_of_its_songs():
    first, second = measured([0.8], 0.02), measured([0.75], 0.02, seed=1)
    samples = first.samples - second.samples
    assert interval_over_seeds(first, second) == interval(samples)
    assert p_value(first, second, 10**9) == pytest.approx(2 * norm.sf(0.05 / samples.std(ddof=1)))
    error = samples.std(ddof=1) * (34 / 33) ** 0.5
    assert p_value(first, second, 34) == pytest.approx(2 * t.sf(0.05 / error, 33))
    assert p_value(second, first, 34) == p_value(first, second, 34)
    assert p_value(first, first, 34) == 1


def test_resamples_that_are_all_alike_are_as_sure_as_their_songs_are_many():
    """A sign test in which all songs agree; one song tells nothing."""
    alike = Measured(np.array([0.9]), np.full(500, 0.9)), Measured(np.array([0.5]), np.full(500, 0.5))
    assert [p_value(*alike, songs) for songs in (1, 2, 5, 11)] == [1, 0.5, 2**-4, 2**-10]


@pytest.mark.parametrize("songs", [1, 2, 3, 5, 10, 20])
def test_of_two_experiments_that_know_nothing_few_seem_to_differ_however_few_the_songs_are(songs):
    rng = np.random.default_rng(songs)
    of_song = np.arange(40) % songs
    called = 0
    for _ in range(200):
        targets = rng.integers(0, 2, (40, 1)).astype(np.uint8)
        targets[:2, 0] = 0, 1
        drawn = resample(of_song, 200, 1)
        found = []
        for _ in range(2):
            scores = rng.random((40, 1))
            found.append(
                Measured(np.array([macro_roc_auc(scores, targets)]), bootstrap_macro_roc_auc(scores, targets, drawn))
            )
        called += p_value(*found, songs) <= 0.05
    assert called <= 20  # 10 by chance; with 20 the chance is 0.1 %


def test_no_interval_is_made_of_resamples_of_which_none_is_defined():
    with pytest.raises(EvaluationError, match=r"no interval: in none of the 3 resamples .* `evaluation\.resamples`"):
        interval(np.full(3, np.nan))


def test_few_seeds_widen_the_interval_as_far_as_they_make_the_error():
    """Two seeds each that make all of it: Welch's two degrees of freedom; next to nothing of it: infinitely many."""
    each = [0.7, 0.8], [0.6, 0.7]
    all_of_it = [measured(values, 0.05, seed=number) for number, values in enumerate(each)]
    samples = all_of_it[0].samples - all_of_it[1].samples
    assert degrees(0.005, all_of_it) == pytest.approx(2)
    low, high = interval_over_seeds(*all_of_it)
    plain = interval(samples)
    assert (high - low) / (plain[1] - plain[0]) == pytest.approx(t.ppf(0.975, 2) / norm.ppf(0.975), rel=0.05)
    assert p_value(*all_of_it, 10**9) == pytest.approx(2 * t.sf(0.1 / 0.0707, 2), rel=0.05)
    same = [measured([0.7, 0.7], 0.05), measured([0.6, 0.6], 0.05, seed=1)]
    assert degrees(0.005, same) == np.inf


def test_an_interval_ends_where_the_values_do():
    """Student's factor for two seeds is 6.5: it would leave the range of a ROC-AUC, or of a difference."""
    wide = measured([0.3, 0.7], 0.2), measured([0.3, 0.7], 0.2, seed=1)
    assert interval_over_seeds(wide[0]) == (0.0, 1.0)
    assert interval_over_seeds(*wide) == (-1.0, 1.0)


def test_one_resample_tells_nothing_of_a_difference():
    one = Measured(np.array([0.8]), np.array([0.8])), Measured(np.array([0.7]), np.array([0.7]))
    assert p_value(*one, 84) == 1
