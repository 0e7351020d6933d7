"""Every recipe has the learning rates that its paper, or our choice, works out to by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.plans import recipe

from earmark.experiments import Recipe
from earmark.systems.recipes import RECIPES
from earmark.training import recipes
from earmark.training.recipes import factor, optimizer


def test_song_2018_decays_exponentially_from_1e_5_over_300_epochs():
    recipe = RECIPES["song-2018"]
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("adam", 1e-5, 300)
    curve = factor(recipe, 10)
    assert [curve(e, 5, 0) for e in (0, 1, 299)] == pytest.approx([1, 0.99, 0.99**299])


def test_dalla_longa_decays_within_an_epoch_and_with_every_restart():
    recipe = RECIPES["dalla-longa"]
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum) == ("sgd", 0.01, 0.9)
    curve = factor(recipe, 100)
    assert curve(0, 0, 0) == 1
    assert curve(0, 40, 0) == pytest.approx(1 / (1 + 5e-4 * 40))
    assert curve(7, 0, 0) == 1  # reset at the end of every epoch
    assert curve(7, 40, 2) == pytest.approx(0.25 / 1.02)


def test_the_demo_warms_up_for_an_epoch_and_ends_at_zero():
    recipe = Recipe(optimizer="adam", learning_rate=1e-3, schedule="warm-cosine", batch=8, epochs=5, patience=3)
    curve = factor(recipe, 4)
    assert [curve(0, b, 0) for b in range(4)] == [0.25, 0.5, 0.75, 1]
    assert curve(1, 0, 0) == 1
    assert curve(3, 0, 0) == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))
    assert curve(4, 3, 0) == pytest.approx(0.5 * (1 + math.cos(math.pi * 15 / 16)))


def test_constant_stays():
    assert {factor(RECIPES["panwar"], 7)(e, b, 3) for e in range(5) for b in range(7)} == {1}


@pytest.mark.parametrize(("name", "kind"), [("panwar", torch.optim.Adam), ("dalla-longa", torch.optim.SGD)])
def test_optimisers(name, kind):
    assert isinstance(optimizer(RECIPES[name], torch.nn.Linear(2, 2)), kind)


# (epoch, batch, cuts) -> rate, with ten batches an epoch, worked out by hand
CURVES = {
    "song-2018": {(0, 0, 0): 1e-5, (0, 9, 0): 1e-5, (1, 0, 0): 9.9e-6, (2, 5, 0): 9.801e-6, (299, 0, 0): 4.9536e-7},
    "mirex-2018": {(0, 0, 0): 1e-5, (150, 3, 0): 1e-5, (299, 9, 0): 1e-5},
    "dalla-longa": {(0, 0, 0): 1e-2, (0, 9, 0): 9.9552e-3, (7, 0, 0): 1e-2, (7, 4, 1): 4.99002e-3, (50, 0, 3): 1.25e-3},
    # in an epoch 1 / (1.0005 * 1.001 * ...), and cuts of 1/2, 1/2 * 1/4, 1/2 * 1/4 * 1/8
    "dalla-longa-printed": {
        (0, 0, 0): 1e-2,
        (0, 1, 0): 9.995e-3,
        (0, 2, 0): 9.98502e-3,
        (9, 0, 1): 5e-3,
        (9, 0, 2): 1.25e-3,
        (9, 1, 3): 1.56172e-4,
    },
    "panwar": {(0, 0, 0): 1e-3, (99, 9, 0): 1e-3},
    "choi-2016": {(0, 0, 0): 1e-3, (99, 9, 0): 1e-3},
    # eighty epochs of Adam, then SGD at 1e-3, a tenth of it after every twenty epochs
    "won-2020": {
        (0, 0, 0): 1e-4,
        (79, 9, 0): 1e-4,
        (80, 0, 0): 1e-3,
        (99, 9, 0): 1e-3,
        (100, 0, 0): 1e-4,
        (120, 0, 0): 1e-5,
    },
    # eight epochs: ten steps up, seventy down; half of these after 35
    "quick": {
        (0, 0, 0): 1e-4,
        (0, 4, 0): 5e-4,
        (0, 9, 0): 1e-3,
        (1, 0, 0): 1e-3,
        (4, 5, 0): 5e-4,
        (7, 9, 0): 5.0345e-7,
    },
    # sixty epochs: from 1/25 up to step 179, then down to 1/250,000 at step 599
    "earmark-best": {(0, 0, 0): 1.2e-4, (17, 9, 0): 3e-3, (59, 9, 0): 1.2e-8},
    # six epochs: ten steps up, fifty down
    "quick-recurrent": {(0, 0, 0): 5e-5, (1, 0, 0): 5e-4, (3, 5, 0): 2.5e-4, (5, 9, 0): 4.9331e-7},
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_rules_rate_is_the_one_worked_out_by_hand(name):
    recipe = RECIPES[name]
    multiplier = factor(recipe, batches=10)
    for (epoch, batch, cuts), rate in CURVES[name].items():
        assert recipe.learning_rate * multiplier(epoch, batch, cuts) == pytest.approx(rate, rel=1e-4), (epoch, batch)


@pytest.mark.parametrize("total", [1, 2, 10, 57])
def test_one_cycle_is_torchs(total):
    found = recipe(schedule="one-cycle", learning_rate=0.1, epochs=total)
    model = torch.nn.Linear(1, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    if total < 4:  # torch divides by a phase of no length
        assert all(0 < factor(found, 1)(step, 0, 0) <= 1 for step in range(total))
        return
    oracle = torch.optim.lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=total)
    for step in range(total):
        assert 0.1 * factor(found, 1)(step, 0, 0) == pytest.approx(sgd.param_groups[0]["lr"], rel=1e-6), step
        sgd.step()
        if step + 1 < total:
            oracle.step()


def test_weight_decay_and_the_optimizer_of_a_switch_are_the_recipes():
    model = torch.nn.Linear(2, 2)
    assert optimizer(recipe(optimizer="adamw", weight_decay=0.02), model).defaults["weight_decay"] == 0.02
    assert isinstance(optimizer(recipe(optimizer="adamw"), model), torch.optim.AdamW)
    won = optimizer(RECIPES["won-2020"], model, switched=True)
    assert isinstance(won, torch.optim.SGD)
    assert (won.defaults["lr"], won.defaults["nesterov"], won.defaults["weight_decay"]) == (1e-3, True, 1e-4)


def test_masks_hide_one_stretch_of_frames_and_of_dims_per_clip_up_to_their_share():
    masked = recipe(masks=1, mask_frames=0.5, mask_dims=0.25)
    ones = torch.ones(400, 20, 8)
    found, targets = recipes.augment(masked, ones, torch.zeros(400, 2), np.random.default_rng(3))
    assert torch.equal(targets, torch.zeros(400, 2))
    frames, dims = (found == 0).all(dim=2), (found == 0).all(dim=1)
    assert set(frames.sum(dim=1).tolist()) == set(range(11))
    assert set(dims.sum(dim=1).tolist()) == {0, 1, 2}
    assert all(len(torch.unique_consecutive(row)) <= 3 for row in frames)  # one stretch
    assert frames.any(dim=0).all()
    alone = recipe(masks=2, mask_dims=0.25)
    found, _ = recipes.augment(alone, ones, targets, np.random.default_rng(3))
    assert not (found == 0).all(dim=2).any()
    assert set((found == 0).all(dim=1).sum(dim=1).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", ["dalla-longa", "dalla-longa-printed", "won-2020"])
def test_a_schedule_that_goes_back_to_the_best_weights_does_not_keep_the_last(name):
    values = RECIPES[name].model_dump()
    with pytest.raises(ValueError, match=f"weights: last does not go with schedule: {values['schedule']}, which"):
        Recipe.model_validate(values | {"weights": "last"})
