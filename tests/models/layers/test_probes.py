"""What is pooled over time, and the logit of a frequency."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark.models.layers.probes import frequency_logit, mean_and_deviation


def test_pooling_is_mean_and_deviation_over_time():
    features = torch.randn(4, 9, 5)
    pooled = mean_and_deviation(features)
    np.testing.assert_allclose(pooled[:, :5], features.mean(1), atol=1e-6)
    np.testing.assert_allclose(pooled[:, 5:], features.numpy().std(axis=1), atol=1e-6)


@pytest.mark.parametrize(("frequency", "probability"), [(0.3, 0.3), (0.0, 1e-6), (1.0, 1 - 1e-6)])
def test_the_logit_of_a_frequency_is_finite(frequency, probability):
    assert 1 / (1 + np.exp(-frequency_logit(frequency))) == pytest.approx(probability, rel=1e-9)
