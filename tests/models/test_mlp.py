"""The probe with a hidden layer: what it pools, what dims do together, and its options."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread

from earmark.models import networks
from earmark.models.mlp import MultilayerPerceptron

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_any_number_of_frames_is_pooled_and_a_single_one_too():
    assert_scores(MultilayerPerceptron(4, 12, 5), (1, 1, 5), (3, 12, 5), (2, 40, 5), n_tags=4)


def test_the_order_of_frames_does_not_count_but_their_deviation_does():
    torch.manual_seed(0)
    model, features = MultilayerPerceptron(4, 12, 5).eval(), torch.randn(3, 12, 5)
    with torch.no_grad():
        torch.testing.assert_close(model(features[:, torch.randperm(12)]), model(features))
        spread = features + 2 * (features - features.mean(1, keepdim=True))  # the same means
        assert not torch.allclose(model(spread), model(features), atol=1e-3)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_it_has_two_linear_layers_and_the_norm_no_parameter(batch_norm):
    model = MultilayerPerceptron(4, 12, 5, hidden=7, batch_norm=batch_norm)
    assert networks.count_parameters(model) == (2 * 5 * 7 + 7) + (7 * 4 + 4)
    assert sum(isinstance(m, torch.nn.BatchNorm1d) for m in model.modules()) == batch_norm


def test_gradients_reach_every_parameter_and_saved_weights_give_the_same_scores():
    assert_gradients(MultilayerPerceptron(4, 12, 5, hidden=16), (6, 12, 5), n_tags=4)
    assert_reloads(lambda: MultilayerPerceptron(4, 12, 5), (3, 12, 5))


def test_the_same_seed_gives_the_same_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return MultilayerPerceptron(4, 12, 5).hidden.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_it_overfits_eight_clips():
    torch.manual_seed(1)
    assert auc_after_overfit(MultilayerPerceptron(3, 6, 20), (8, 6, 20), steps=60, rate=0.01) == 1.0


def test_it_learns_what_dims_are_only_together():
    """The sign of a product, of which a linear layer sees nothing."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    means = torch.randn(400, 1, 2, generator=generator)
    features = means + 0.1 * torch.randn(400, 6, 2, generator=generator)
    targets = (means[:, 0].prod(1, keepdim=True) > 0).float()
    model = MultilayerPerceptron(1, 6, 2, hidden=32, dropout=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(features[:300]), targets[:300]).backward()
        optimizer.step()
    found = (model.eval()(features[300:]) > 0).float()
    assert (found == targets[300:]).float().mean() > 0.9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"activation": "step"}, "activation must be one of relu, leaky-relu, elu, tanh, got 'step'"),
        ({"frames": 0}, "frames must be at least 1, got 0: there is nothing to pool"),
        ({"dims": 0}, "dims must be at least 1, got 0: a frame has no value"),
    ],
)
def test_what_is_out_of_its_limits_is_refused_by_name(options, told):
    with pytest.raises(ValueError, match=told):
        MultilayerPerceptron(**{"n_tags": 3, "frames": 6, "dims": 2} | options)
