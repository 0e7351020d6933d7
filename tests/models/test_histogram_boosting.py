"""Boosted trees score as scikit-learn's own, choose their number on the validation split, and are saved as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.model_checks import single_thread
from safetensors.torch import load, save
from sklearn.ensemble import HistGradientBoostingClassifier

from earmark.evaluation.metrics import macro_roc_auc
from earmark.models.histogram_boosting import HistogramBoosting
from earmark.models.layers.probes import mean_and_deviation
from earmark.models.networks import SelfFitting

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)
FEW = {"iterations": 12, "min_samples_leaf": 5}


def problem(clips=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(clips, 12, 5, generator=generator)
    targets = (torch.rand(clips, 3, generator=generator) < 0.4).float()
    features[:, :, 0] += 2 * targets[:, :1]  # a mean
    features[:, :, 1] *= 1 + 2 * targets[:, 1:2]  # a deviation
    return features, targets


def fitted(**options) -> HistogramBoosting:
    model = HistogramBoosting(3, 12, 5, **FEW | options)
    model.fit(problem(), problem(60, seed=1), macro_roc_auc)
    return model


def best_of(tried):
    return int(max(tried, key=lambda pair: pair[1])[0])


def test_logits_are_scikit_learns():
    model, (features, targets) = HistogramBoosting(3, 12, 5, **FEW), problem()
    count = best_of(model.fit((features, targets), problem(60, seed=1), macro_roc_auc))
    heard = torch.cat([features, problem(200, seed=2)[0]])
    logits = model(heard)
    for tag in range(3):
        theirs = HistGradientBoostingClassifier(
            max_iter=count, min_samples_leaf=5, max_bins=64, early_stopping=False, random_state=0
        ).fit(mean_and_deviation(features).numpy(), targets[:, tag].numpy())
        expected = theirs.decision_function(mean_and_deviation(heard).numpy())
        np.testing.assert_allclose(logits[:, tag].numpy(), expected, atol=1e-5)


def test_missing_values_are_scored_as_by_scikit_learn():
    features, targets = problem()
    features[::3, :, 0] = torch.nan
    model = HistogramBoosting(3, 12, 5, **FEW)
    count = best_of(model.fit((features, targets), problem(60, seed=1), macro_roc_auc))
    theirs = HistGradientBoostingClassifier(
        max_iter=count, min_samples_leaf=5, max_bins=64, early_stopping=False, random_state=0
    ).fit(mean_and_deviation(features).numpy(), targets[:, 0].numpy())
    heard = mean_and_deviation(features).numpy()
    np.testing.assert_allclose(model(features)[:, 0].numpy(), theirs.decision_function(heard), atol=1e-5)


def test_every_option_is_handed_to_scikit_learn(monkeypatch):
    given = []

    class Spy(HistGradientBoostingClassifier):
        def __init__(self, **options):
            given.append(options)
            super().__init__(**options)

    monkeypatch.setattr("earmark.models.histogram_boosting.HistGradientBoostingClassifier", Spy)
    fitted(learning_rate=0.2, iterations=3, leaves=4, min_samples_leaf=7, l2=0.5, bins=9)
    assert given[0] == {
        "learning_rate": 0.2, "max_iter": 3, "max_leaf_nodes": 4, "min_samples_leaf": 7, "l2_regularization": 0.5,
        "max_bins": 9, "early_stopping": False, "random_state": 0,
    }  # fmt: skip


def test_it_learns_from_means_and_from_deviations():
    features, targets = problem(200, seed=2)
    scores = fitted()(features).double().numpy()
    assert macro_roc_auc(scores[:, :2], targets.numpy()[:, :2]) > 0.93


def test_one_number_of_trees_for_all_tags_is_the_best_on_validation():
    model, valid = HistogramBoosting(3, 12, 5, **FEW), problem(60, seed=1)
    tried = model.fit(problem(), valid, macro_roc_auc)
    assert [count for count, _ in tried] == list(range(1, 13))
    assert len({value for _, value in tried}) > 1
    assert model.trees.roots.shape == (3, best_of(tried))
    found = macro_roc_auc(model(valid[0]).double().numpy(), valid[1].numpy())
    assert found == pytest.approx(max(value for _, value in tried), abs=1e-9)


def test_the_fewest_trees_are_taken_of_those_that_are_equally_good():
    model = HistogramBoosting(3, 12, 5, **FEW)
    tried = model.fit(problem(), problem(60, seed=1), lambda *_: 0.5)
    assert tried == [(float(count), 0.5) for count in range(1, 13)]
    assert model.trees.roots.shape == (3, 1)


def test_a_tag_without_both_classes_gets_its_frequency():
    (features, targets), valid = problem(), problem(60, seed=1)
    targets[:, 1:] = torch.tensor([0.0, 1.0])
    model = HistogramBoosting(3, 12, 5, **FEW)
    model.fit((features, targets), valid, macro_roc_auc)
    probabilities = torch.sigmoid(model(valid[0]).double()).numpy()
    np.testing.assert_allclose(probabilities[:, 1], 1e-6, rtol=1e-4)
    np.testing.assert_allclose(probabilities[:, 2], 1 - 1e-6, rtol=1e-4)
    assert len(np.unique(probabilities[:, 0])) > 1


def test_the_same_clips_give_the_same_bytes():
    assert save(fitted().state_dict()) == save(fitted().state_dict())


def test_trees_are_saved_as_tensors_and_loaded_into_a_fresh_network():
    model, features = fitted(), problem(50, seed=3)[0]
    fresh = HistogramBoosting(3, 12, 5)
    assert not fresh(features).any()
    fresh.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(fresh(features), model(features))


def test_any_length_and_a_single_clip():
    model, features = fitted(), torch.randn(6, 40, 5)
    scores = model(features)
    assert scores.shape == (6, 3)
    torch.testing.assert_close(model(features[:1]), scores[:1])


def test_it_fits_itself():
    assert isinstance(HistogramBoosting(3, 12, 5), SelfFitting)
