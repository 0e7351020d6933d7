"""Training by gradient steps: one seed learns the same twice, the best weights are kept, recipes do what they say."""

from __future__ import annotations

import pytest
import torch
from helpers.splits import Small, split

from earmark.evaluation.metrics import macro_roc_auc
from earmark.experiments import Recipe
from earmark.training import gradient
from earmark.training.gradient import Task

RECIPE = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=4, patience=4)
WILD = Recipe(
    optimizer="sgd", learning_rate=5.0, schedule="two-level", batch=8, epochs=9, patience=2, decay=0.1, local_decay=0.01
)


def train(recipe=RECIPE, seed=5):
    """A trained network, and what was learnt."""
    torch.manual_seed(0)
    model = Small()
    return model, gradient.train(Task(model, recipe, seed, split(), split(16, 1)))


def states_equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, other = train()[0], train()[0], train(seed=6)[0]
    assert states_equal(first, second)
    assert not states_equal(first, other)


def test_there_is_one_row_of_curves_per_epoch_and_the_best_weights_are_kept():
    model, learnt = train()
    assert [row[0] for row in learnt.curves] == [0, 1, 2, 3]
    aucs = [row[3] for row in learnt.curves]
    assert learnt.valid_roc_auc == max(aucs)
    assert learnt.best_epoch == aucs.index(max(aucs))
    assert (learnt.excerpt_frames, learnt.n_excerpts) == (4, 1)
    valid = split(16, 1)
    model.eval()
    scores = model(valid.features).detach().double().numpy()
    assert macro_roc_auc(scores, valid.targets.numpy()) == pytest.approx(max(aucs), abs=1e-6)


def test_training_stops_when_nothing_gets_better():
    frozen = Recipe(optimizer="sgd", learning_rate=1e-12, batch=8, epochs=50, patience=3)
    assert len(train(frozen)[1].curves) == 4  # the first epoch, and three in vain


def test_the_two_level_recipe_cuts_the_rate_and_goes_back_to_the_best_weights():
    rates = [row[4] for row in train(WILD)[1].curves]
    assert rates[0] == 5
    assert min(rates) <= 0.5
    assert rates == sorted(rates, reverse=True)


def test_blending_and_offsets_change_what_is_learnt_but_not_its_determinism():
    blended = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=2, patience=4, mixup=0.5, jitter=0.3)
    plain = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=2, patience=4)
    assert states_equal(train(blended)[0], train(blended)[0])
    assert not states_equal(train(blended)[0], train(plain)[0])


def test_going_back_to_the_best_weights_the_two_level_recipe_forgets_its_momentum(monkeypatch):
    """From the best weights a first step without momentum is -rate * gradient; stale momentum leads elsewhere."""
    kept = []
    judge = gradient.BestWeights.on_validation_epoch_end

    def watched(self, trainer, module):
        cuts = self._cuts
        judge(self, trainer, module)
        kept.append((self._cuts > cuts, len(trainer.optimizers[0].state)))

    monkeypatch.setattr(gradient.BestWeights, "on_validation_epoch_end", watched)
    train(WILD)
    assert any(cut for cut, _ in kept)
    assert all((size == 0) == cut for cut, size in kept)
