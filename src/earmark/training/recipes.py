"""Recipes: rules of training by name, the published ones and two that learn in a few minutes on two cores."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from earmark.config import ExperimentConfig


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    learning_rate: at the start. batch: clips per step. epochs: the most that are trained. patience: how many epochs may
    pass without a higher validation ROC-AUC before training stops; with ``two-level``, without a lower validation loss
    before the rate is cut. decay: the factor per epoch (``exponential``), or per cut (``two-level``), whose decay
    within an epoch is local_decay. clip_norm: the largest norm of the gradient. excerpt: the share of a clip's frames
    that a training step sees, at a random place; a clip's scores are then the mean over excerpts of that length.
    mixup: clips are blended in pairs, with weights from Beta(mixup, mixup) (Zhang et al. 2018). jitter: the standard
    deviation of a random offset per clip and dimension, in standardised units.
    """

    optimizer: Literal["adam", "sgd"]
    learning_rate: float
    schedule: Literal["constant", "exponential", "two-level", "warm-cosine"]
    batch: int
    epochs: int
    patience: int
    decay: float = 1.0
    local_decay: float = 0.0
    momentum: float = 0.9
    clip_norm: float | None = None
    excerpt: float = 1.0
    mixup: float = 0.0
    jitter: float = 0.0


# What a paper does not print, we chose. Song et al.: the decay (0.99 per epoch, which leaves 5 % after 300 epochs) and
# the batch (32); they stop after 300 epochs, without patience. Dalla Longa et al.: both decays (0.5 per cut, 0.0005 per
# iteration), the batch (32), the patience (5) and the epochs (100). Panwar et al.: the patience (10) and the learning
# rate (Adam's default).
RECIPES = {
    "song-2018": Recipe("adam", 1e-5, "exponential", batch=32, epochs=300, patience=300, decay=0.99),
    "mirex-2018": Recipe("adam", 1e-5, "constant", batch=32, epochs=300, patience=300),
    "dalla-longa": Recipe("sgd", 1e-2, "two-level", batch=32, epochs=100, patience=5, decay=0.5, local_decay=5e-4),
    "panwar": Recipe("adam", 1e-3, "constant", batch=32, epochs=100, patience=10),
    "adam": Recipe("adam", 1e-3, "constant", batch=16, epochs=200, patience=20),
    "demo": Recipe("adam", 1e-3, "warm-cosine", batch=16, epochs=8, patience=5, clip_norm=1.0),
    # A recurrent network takes its frames one after another, so that an eighth of a clip costs an eighth of the time,
    # and eight times the steps can be taken. It learns a few hundred clips by heart within a few epochs, unless they
    # are blended and offset.
    "demo-recurrent": Recipe(
        "adam",
        5e-4,
        "warm-cosine",
        batch=32,
        epochs=6,
        patience=3,
        clip_norm=1.0,
        excerpt=0.125,
        mixup=0.3,
        jitter=0.3,
    ),
}


def choose(published: str, experiment: ExperimentConfig, any_length: bool = False) -> Recipe:
    """Return the recipe of an experiment: that of its preset, with the values that the experiment sets itself.

    published: the name of the recipe in the system's paper. any_length: the network takes any number of frames.
    """
    name = published if experiment.preset == "published" else "demo-recurrent" if any_length else "demo"
    keys = ("epochs", "batch", "learning_rate", "patience")
    chosen: dict[str, Any] = {key: value for key in keys if (value := getattr(experiment, key)) is not None}
    return replace(RECIPES[name], **chosen)


def optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return Adam, or SGD with momentum, for all parameters of the model."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    return torch.optim.SGD(model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum)


def factor(recipe: Recipe, batches: int) -> Callable[[int, int, int], float]:
    """Return the multiplier of the learning rate, a function of (epoch, batch in the epoch, cuts so far), all from 0.

    batches: how many batches an epoch has. ``exponential``: decay^epoch. ``two-level`` (Dalla Longa et al., section 4):
    decay^cuts / (1 + local_decay * batch), so that the rate starts anew in every epoch. ``warm-cosine``: a linear rise
    in the first epoch, then half a cosine down to zero.

    >>> recipe = Recipe("sgd", 0.01, "two-level", batch=32, epochs=100, patience=5, decay=0.5, local_decay=0.1)
    >>> multiplier = factor(recipe, batches=20)
    >>> multiplier(0, 0, 0), multiplier(0, 10, 0), multiplier(1, 0, 0), multiplier(1, 0, 2)
    (1.0, 0.5, 1.0, 0.25)
    """
    total = recipe.epochs * batches

    def multiplier(epoch: int, batch: int, cuts: int) -> float:
        step = epoch * batches + batch
        if recipe.schedule == "exponential":
            return recipe.decay**epoch
        if recipe.schedule == "two-level":
            return recipe.decay**cuts / (1 + recipe.local_decay * batch)
        if recipe.schedule == "warm-cosine":
            if step < batches:
                return (step + 1) / batches
            return 0.5 * (1 + math.cos(math.pi * (step - batches) / max(1, total - batches)))
        return 1.0

    return multiplier
