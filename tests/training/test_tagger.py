"""An epoch is judged clip by clip, augmentation keeps features and targets together, the rate is the recipe's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from earmark.corpus.label_table import Labelled
from earmark.experiments import Recipe
from earmark.features.dataset import Batches, Split
from earmark.systems.recipes import RECIPES
from earmark.training import recipes
from earmark.training.tagger import Tagger


class Mean(nn.Module):
    """The mean of a clip's features as the logit of both tags."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, features):
        return self.scale * features.mean((1, 2))[:, None].expand(-1, 2)


def data(clips=8, songs=None):
    who = tuple(Labelled(str(i), f"song{i}", "artist", "train") for i in (songs or range(clips)))
    features = torch.arange(float(clips))[:, None, None].expand(clips, 4, 3)
    return Split(features, (features[:, 0, :2] > 3).float(), who, ("a", "b"), 0)


def test_a_blend_keeps_features_and_targets_in_step():
    recipe = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=1, patience=1, mixup=0.5)
    number = torch.arange(8.0)
    features, targets = recipes.augment(
        recipe, number[:, None, None].expand(8, 4, 3), number[:, None].expand(8, 2), np.random.default_rng(0)
    )
    assert torch.equal(features[:, 0, 0], targets[:, 0])
    assert ((targets[:, 0] - number).abs() <= 3.5 + 1e-6).all()  # no clip is the smaller part of its own blend
    assert not torch.equal(targets[:, 0], number)


def test_an_epoch_is_judged_by_clips_and_not_by_their_segments():
    """Clip 0 has four segments, of which the model is wrong about one."""
    recipe = Recipe(optimizer="adam", learning_rate=1e-2, batch=3, epochs=1, patience=1)
    valid = data(6, [0, 0, 0, 0, 1, 2])
    values = torch.tensor([4.0, 4.0, 4.0, -9.0, -2.0, -3.0])
    valid = Split(
        values[:, None, None].expand(6, 4, 3), torch.tensor([[1.0, 0]] * 4 + [[0.0, 1]] * 2), valid.clips, valid.tags, 0
    )
    tagger = Tagger(Mean(), recipe, Batches(data(), 3), valid)
    tagger.train_losses.append(torch.tensor(0.5))
    with torch.no_grad():
        for number, batch in enumerate(Batches(valid, 3)):
            tagger.validation_step(batch, number)
    train_loss, valid_loss, auc = tagger.judge()
    assert train_loss == 0.5
    assert auc == 0.5  # tag a: all right; tag b, whose logits are the same: all wrong
    assert np.isfinite(valid_loss)
    assert not tagger.scored


def test_exclusive_classes_are_judged_by_the_loss_that_trains_them():
    """One clip and no dropout: an epoch's validation loss on the clip is the training loss on it."""
    recipe = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=1, patience=1)
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, -0.3]])
    targets = torch.tensor([[0.0, 0, 1], [1, 0, 0]])
    rows = Split(logits[:, None], targets, data(2).clips, ("a", "b", "c"), 0)
    tagger = Tagger(nn.Flatten(), recipe, Batches(rows, 2), rows, exclusive=True)
    tagger.training_step((rows.features, targets), 0)
    tagger.validation_step((rows.features, targets), 0)
    train_loss, valid_loss, _ = tagger.judge()
    assert train_loss == pytest.approx(float(nn.functional.cross_entropy(logits, targets)))
    assert valid_loss == pytest.approx(train_loss)


def test_the_rate_of_every_step_is_the_rules():
    recipe = RECIPES["dalla-longa"]
    tagger = Tagger(Mean(), recipe, Batches(data(), 2), data())
    tagger.cuts = 2
    assert [tagger.rate(batch) for batch in (0, 3)] == [1e-2 * 0.25, 1e-2 * 0.25 / (1 + 3 * 5e-4)]


@pytest.mark.parametrize("exclusive", [False, True])
def test_heads_learn_by_themselves(exclusive):
    """Of logits (heads, clips, tags) the loss is the mean of the losses of the heads, and not that of their mean."""
    recipe = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=1, patience=1)
    logits = torch.tensor([[[2.0, -1.0], [0.1, 0.2]], [[-3.0, 1.0], [0.5, 4.0]], [[0.0, 0.0], [1.0, -1.0]]])
    targets = torch.tensor([[0.0, 1.0], [1.0, 0.0]])

    class Heads(nn.Module):
        def forward(self, _):
            return logits

    loss_of = nn.functional.cross_entropy if exclusive else nn.functional.binary_cross_entropy_with_logits
    tagger = Tagger(Heads(), recipe, Batches(data(), 2), data(), exclusive)
    loss = tagger.training_step((torch.zeros(2, 4, 3), targets), 0)
    assert float(loss) == pytest.approx(np.mean([float(loss_of(head, targets)) for head in logits]))
    assert float(loss) != pytest.approx(float(loss_of(logits.mean(dim=0), targets)))
