"""The linear probe pools over time, and chooses its penalty on the validation split."""

from __future__ import annotations

import numpy as np
import torch

from earmark.evaluation.metrics import macro_roc_auc
from earmark.models.linear import LinearProbe


def problem(clips=80, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(clips, 12, 5, generator=generator)
    targets = (torch.rand(clips, 3, generator=generator) < 0.4).float()
    features[:, :, 0] += 3 * targets[:, :1]  # a mean
    features[:, :, 1] *= 1 + 2 * targets[:, 1:2]  # a deviation
    return features, targets


def test_it_learns_from_means_and_from_deviations():
    probe = LinearProbe(3, 12, 5)
    probe.fit(problem(seed=0), problem(40, seed=1), macro_roc_auc)
    features, targets = problem(60, seed=2)
    scores = probe(features).detach().double().numpy()
    assert macro_roc_auc(scores[:, :2], targets.numpy()[:, :2]) > 0.97


def test_the_penalty_is_the_best_on_validation():
    probe, valid = LinearProbe(3, 12, 5), problem(40, seed=1)
    tried = probe.fit(problem(), valid, macro_roc_auc)
    assert [c for c, _ in tried] == list(probe.strengths)
    scores = probe(valid[0]).detach().double().numpy()
    assert macro_roc_auc(scores, valid[1].numpy()) == max(auc for _, auc in tried)


def test_a_tag_without_both_classes_gets_its_frequency():
    (features, targets), valid = problem(), problem(40, seed=1)
    targets[:, 2] = 0
    probe = LinearProbe(3, 12, 5)
    probe.fit((features, targets), valid, macro_roc_auc)
    probabilities = torch.sigmoid(probe(valid[0]))[:, 2]
    np.testing.assert_allclose(probabilities.detach().numpy(), 1e-6, rtol=1e-4)
