"""A branch per part: which dims it sees, what learns by itself, and the statistics that are a logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, single_thread
from sklearn.linear_model import LogisticRegression
from torch import nn

from earmark.models.attentive_branches import AttentiveBranches
from earmark.models.networks import count_parameters

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)
PARTS = {"parts": [5, 3], "channels": 6, "heads": 2}


def test_any_length_and_a_single_clip() -> None:
    assert_scores(AttentiveBranches(4, 40, 8, **PARTS), (1, 40, 8), (2, 1, 8), (3, 61, 8), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: AttentiveBranches(4, 20, 8, **PARTS), (3, 20, 8))


def test_every_branch_has_logits_in_training_and_their_mean_is_scored() -> None:
    model = AttentiveBranches(4, 20, 8, members=3, dropout=0.0, seen=1.0, **PARTS)
    features = torch.randn(6, 20, 8)
    assert model.train()(features).shape == (7, 6, 4)  # statistics, and three members of two parts
    model.eval()
    expected = [model.statistics(features)]
    expected += [b(features[:, :, :5] if i % 2 == 0 else features[:, :, 5:]) for i, b in enumerate(model.branches)]
    torch.testing.assert_close(model(features), torch.stack(expected).mean(dim=0))


def test_the_loss_of_every_branch_reaches_its_own_parameters() -> None:
    class Flat(nn.Module):
        """The heads as more tags, as the check takes (batch, tags)."""

        def __init__(self) -> None:
            super().__init__()
            self.heads = AttentiveBranches(2, 20, 8, **PARTS)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return self.heads(features).transpose(0, 1).flatten(1)

    assert_gradients(Flat(), (6, 20, 8), n_tags=6)


def test_the_parameters_are_those_of_its_layers() -> None:
    def branch(dims: int, channels: int, heads: int, kernel: int) -> int:
        convolutions = dims * channels * kernel + channels + channels * channels + channels + 4 * channels
        width = channels * (heads + 2)
        return convolutions + channels * heads + heads + 2 * width + width * 7 + 7

    model = AttentiveBranches(7, 114, 793, parts=[168, 192, 433], members=2)
    expected = 2 * sum(branch(dims, 96, 4, 3) for dims in (168, 192, 433)) + 2 * 793 * 7 + 7
    assert count_parameters(model) == expected


def test_branches_see_a_part_of_a_clip_in_training_and_all_of_it_when_they_score() -> None:
    model = AttentiveBranches(3, 20, 8, seen=0.25, statistics=False, dropout=0.0, **PARTS)
    lengths: list[int] = []
    model.branches[0].register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    features = torch.arange(20.0)[None, :, None].expand(2, 20, 8)
    for training in (True, False):
        model.train(training)(features)
    assert lengths == [5, 20]
    firsts: set[float] = set()
    model.branches[0].register_forward_pre_hook(lambda _, given: firsts.add(float(given[0][0, 0, 0])))
    model.train()
    for _ in range(60):
        model(features)
    assert {0.0, 15.0} <= firsts <= set(np.arange(16.0))


def test_the_statistics_come_to_scikit_learns_logistic_regression() -> None:
    """Batch gradient descent on one batch of clips, whose statistics batch norm then standardises exactly."""
    torch.manual_seed(2)
    features = torch.randn(24, 10, 3) + torch.randn(24, 1, 3)
    targets = (features.mean(dim=(1, 2)) + 0.3 * torch.randn(24) > 0).float()
    model = AttentiveBranches(1, 10, 3, channels=2, heads=1, penalty=2.0)
    optimizer = torch.optim.LBFGS(model.statistics.parameters(), line_search_fn="strong_wolfe", max_iter=200)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = model.statistics(features)[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
        loss.backward()
        with torch.no_grad():
            return loss + 0.5 * 2.0 / 2 * (model.statistics.output.weight**2).sum()

    optimizer.step(closure)
    pooled = torch.cat([features.mean(dim=1), features.std(dim=1, correction=0)], dim=1)
    inputs = ((pooled - pooled.mean(dim=0)) / (pooled.var(dim=0, correction=0) + 1e-5).sqrt()).numpy()
    reference = LogisticRegression(C=1 / (2.0 / 2 * 24), tol=1e-8, max_iter=10_000).fit(inputs, targets.numpy())
    found = model.statistics.output.weight.detach().numpy()
    np.testing.assert_allclose(found, reference.coef_, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": [5, 2]}, r"parts must add up to dims=8, got \[5, 2\]"),
        ({"kernel": 4}, "kernel must be odd, got 4"),
        ({"seen": 0}, r"seen must be in \(0, 1\], got 0"),
        ({"members": 0}, "members must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"members": 999, "parts": [5, 3]}, "members must make at most 1000 layers in all, got 999: 3996 here"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1"),
        ({"statistics": 1}, "statistics must be true or false, got 1"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AttentiveBranches(4, 20, 8, **options)
