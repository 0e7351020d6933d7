"""Training rules by name: the published ones, and one that learns in a few minutes on two cores."""

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

    learning_rate: the initial one. batch: clips. epochs: at most. patience: epochs without a better validation ROC-AUC
    before training stops (or, with ``two-level``, without a lower validation loss before the rate is cut).
    decay: ``exponential``: factor per epoch; ``two-level``: the global factor, ``local_decay`` being the one within an
    epoch. excerpt: share of a clip's frames that one training step sees, at a random place; its scores are
    then the mean over excerpts of that length. mixup: pairs of clips are blended with weights from Beta(mixup, mixup)
    [Zhang et al. 2018]; jitter: deviation of a random offset per clip and dimension, in standardised units.
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


# Where a paper leaves a value open, ours is documented here: Song et al. print neither the decay rate (0.99 per epoch
# leaves 5 % after 300 epochs), nor the batch (32); they stop after 300 epochs, without patience. Dalla Longa et al.
# print neither decay factor (0.5 per restart, 0.0005 per iteration), batch (32), patience (5) nor epochs (100). Panwar
# et al. print no patience (10) and no learning rate (Adam's default).
RECIPES = {
    "song-2018": Recipe("adam", 1e-5, "exponential", batch=32, epochs=300, patience=300, decay=0.99),
    "mirex-2018": Recipe("adam", 1e-5, "constant", batch=32, epochs=300, patience=300),
    "dalla-longa": Recipe("sgd", 1e-2, "two-level", batch=32, epochs=100, patience=5, decay=0.5, local_decay=5e-4),
    "panwar": Recipe("adam", 1e-3, "constant", batch=32, epochs=100, patience=10),
    "adam": Recipe("adam", 1e-3, "constant", batch=16, epochs=200, patience=20),
    "demo": Recipe("adam", 1e-3, "warm-cosine", batch=16, epochs=8, patience=5, clip_norm=1.0),
    # A recurrent step costs its frames one after another, so an eighth of a clip buys eight times the steps. A few
    # hundred clips are learnt by heart in a few epochs: blended and offset ones are not.
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
    """The recipe of an experiment: its preset, with the values that the experiment sets itself.

    published: the recipe of the system's paper. any_length: the network takes any number of frames, one after another.
    """
    name = published if experiment.preset == "published" else "demo-recurrent" if any_length else "demo"
    keys = ("epochs", "batch", "learning_rate", "patience")
    chosen: dict[str, Any] = {key: value for key in keys if (value := getattr(experiment, key)) is not None}
    return replace(RECIPES[name], **chosen)


def optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Adam or SGD with momentum over all parameters."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True)
    return torch.optim.SGD(model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum)


def factor(recipe: Recipe, batches: int) -> Callable[[int, int, int], float]:
    """The multiplier of the learning rate as a function of (epoch, batch in the epoch, cuts so far); all count from 0.

    batches: how many an epoch has. ``two-level`` (Dalla Longa et al., section 4): 1 / (1 + local_decay * iteration)
    within an epoch, reset at its end, times decay^cuts. ``warm-cosine``: one epoch of linear warm-up, then half a
    cosine to zero.
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
