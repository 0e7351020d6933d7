"""Every recipe has the learning rates that its paper, or our choice, works out to by hand."""

from __future__ import annotations

import math

import pytest
import torch

from earmark.config import ExperimentConfig
from earmark.training.recipes import RECIPES, Recipe, choose, factor, optimizer


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


def test_an_experiment_takes_its_preset_and_overrides_single_values():
    plain = ExperimentConfig(representation="mel", model="crnn")
    assert choose("panwar", plain) == RECIPES["panwar"]
    changed = ExperimentConfig(representation="mel", model="crnn", preset="demo", epochs=3, learning_rate=0.5)
    recipe = choose("panwar", changed)
    assert (recipe.epochs, recipe.learning_rate, recipe.batch) == (3, 0.5, RECIPES["demo"].batch)
    assert choose("song-2018", changed, any_length=True).excerpt == 0.125


@pytest.mark.parametrize(("name", "kind"), [("panwar", torch.optim.Adam), ("dalla-longa", torch.optim.SGD)])
def test_optimisers(name, kind):
    assert isinstance(optimizer(RECIPES[name], torch.nn.Linear(2, 2)), kind)


# (epoch, batch, cuts) -> rate, with ten batches an epoch, worked out by hand
CURVES = {
    "song-2018": {(0, 0, 0): 1e-5, (0, 9, 0): 1e-5, (1, 0, 0): 9.9e-6, (2, 5, 0): 9.801e-6, (299, 0, 0): 4.9536e-7},
    "mirex-2018": {(0, 0, 0): 1e-5, (150, 3, 0): 1e-5, (299, 9, 0): 1e-5},
    "dalla-longa": {(0, 0, 0): 1e-2, (0, 9, 0): 9.9552e-3, (7, 0, 0): 1e-2, (7, 4, 1): 4.99002e-3, (50, 0, 3): 1.25e-3},
    "panwar": {(0, 0, 0): 1e-3, (99, 9, 0): 1e-3},
    "adam": {(0, 0, 0): 1e-3, (199, 9, 0): 1e-3},
    # eight epochs: ten steps up, seventy down; half of these after 35
    "demo": {(0, 0, 0): 1e-4, (0, 4, 0): 5e-4, (0, 9, 0): 1e-3, (1, 0, 0): 1e-3, (4, 5, 0): 5e-4, (7, 9, 0): 5.0345e-7},
    # six epochs: ten steps up, fifty down
    "demo-recurrent": {(0, 0, 0): 5e-5, (1, 0, 0): 5e-4, (3, 5, 0): 2.5e-4, (5, 9, 0): 4.9331e-7},
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_rules_rate_is_the_one_worked_out_by_hand(name):
    recipe = RECIPES[name]
    multiplier = factor(recipe, batches=10)
    for (epoch, batch, cuts), rate in CURVES[name].items():
        assert recipe.learning_rate * multiplier(epoch, batch, cuts) == pytest.approx(rate, rel=1e-4), (epoch, batch)
