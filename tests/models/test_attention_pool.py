"""Attention over time: its weights, the frame that matters, parameters by formula, and its options."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread

from earmark.models import networks
from earmark.models.attention_pool import AttentionPool

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)
SCORES = ("linear", "tanh", "gated")


@pytest.mark.parametrize("score", SCORES)
def test_any_number_of_frames_is_pooled_in_any_order(score):
    torch.manual_seed(0)
    model = AttentionPool(4, 12, 5, score=score)
    assert_scores(model, (1, 1, 5), (3, 12, 5), (2, 40, 5), n_tags=4)
    features = torch.randn(3, 12, 5)
    with torch.no_grad():
        torch.testing.assert_close(model(features[:, torch.randperm(12)]), model(features))
        weights = model.attention(features)
    assert weights.shape == (3, 12, 4)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, 4))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, (5 * 64 + 64) + 64 * 4 + (4 * 5 + 10) * 3 + 3),
        ({"score": "linear", "heads": 2}, 5 * 2 + (2 * 5 + 10) * 3 + 3),
        ({"score": "gated", "score_units": 8, "heads": 1}, 2 * (5 * 8 + 8) + 8 + (5 + 10) * 3 + 3),
        ({"projection": 7, "statistics": False}, (5 * 64 + 64) + 64 * 4 + (5 * 7 + 7) + 4 * 7 * 3 + 3),
        ({"batch_norm": False, "score": "linear"}, 5 * 4 + (4 * 5 + 10) * 3 + 3),
    ],
)
def test_parameters_are_those_of_the_formula(options, count):
    assert networks.count_parameters(AttentionPool(3, 12, 5, **options)) == count


def test_equal_scores_give_the_mean():
    model = AttentionPool(3, 12, 5, heads=1, score="linear", statistics=False, batch_norm=False).eval()
    torch.nn.init.zeros_(model.scores.weight)
    features = torch.randn(2, 12, 5)
    with torch.no_grad():
        torch.testing.assert_close(model(features), model.output(features.mean(1)))


@pytest.mark.parametrize("score", SCORES)
def test_gradients_reach_every_parameter(score):
    assert_gradients(AttentionPool(4, 12, 5, score=score, projection=6), (6, 12, 5), n_tags=4)


def test_saved_weights_give_the_same_scores():
    assert_reloads(lambda: AttentionPool(4, 12, 5), (3, 12, 5))


def test_it_overfits_eight_clips():
    torch.manual_seed(1)
    assert auc_after_overfit(AttentionPool(3, 6, 20), (8, 6, 20), steps=60, rate=0.01) == 1.0


def test_it_finds_the_frame_that_matters():
    """A frame is marked in one dim; its sign in another decides. The signs of all other frames are noise."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    features = torch.randn(500, 16, 4, generator=generator)
    features[:, :, 0] = 0
    marked = torch.randint(16, (500,), generator=generator)
    features[torch.arange(500), marked, 0] = 4
    targets = (features[torch.arange(500), marked, 1] > 0).float()[:, None]
    model = AttentionPool(1, 16, 4, heads=2, dropout=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(features[:400]), targets[:400]).backward()
        optimizer.step()
    with torch.no_grad():
        found = (model.eval()(features[400:]) > 0).float()
        weights = model.attention(features[400:])
    assert (found == targets[400:]).float().mean() > 0.9
    assert weights[torch.arange(100), marked[400:]].amax(dim=1).mean() > 0.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"heads": 0}, "heads must be at least 1, got 0"),
        ({"score": "cosine"}, "score must be one of linear, tanh, gated, got 'cosine'"),
        ({"score_units": 0}, "score_units must be at least 1, got 0"),
        ({"projection": -1}, "projection must be at least 0, got -1"),
        ({"dropout": 1.5}, r"dropout must be in \[0, 1\), got 1.5"),
        ({"frames": 0}, "frames must be at least 1, got 0: there is nothing to pool"),
        ({"dims": 0}, "dims must be at least 1, got 0: a frame has no value"),
    ],
)
def test_what_is_out_of_its_limits_is_refused_by_name(options, told):
    with pytest.raises(ValueError, match=told):
        AttentionPool(**{"n_tags": 3, "frames": 6, "dims": 2} | options)
