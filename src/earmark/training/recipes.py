"""What a recipe means: its optimizer, the learning rate of every step, and what it does to a batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from earmark.experiments import Recipe

ALL = slice(None)


def optimizer(recipe: Recipe, model: nn.Module, switched: bool = False) -> torch.optim.Optimizer:
    """Return the recipe's optimizer for all parameters of the model.

    switched: whether an ``adam-then-sgd`` schedule has come to SGD.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    fused = recipe.precision == "float32"  # else Lightning refuses to clip the gradient of such a one
    if switched:
        assert recipe.sgd_learning_rate is not None
        return torch.optim.SGD(
            model.parameters(), recipe.sgd_learning_rate, recipe.momentum, weight_decay=decay, nesterov=True
        )
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), rate, weight_decay=decay, fused=fused)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), rate, weight_decay=decay, fused=fused)
    return torch.optim.SGD(model.parameters(), rate, recipe.momentum, weight_decay=decay)


def factor(recipe: Recipe, batches: int) -> Callable[[int, int, int], float]:
    """Return the multiplier of the learning rate, a function of (epoch, batch in the epoch, cuts so far), all from 0.

    batches: how many batches an epoch has. The schedules are those of ``Recipe``.

    >>> recipe = Recipe(optimizer="sgd", learning_rate=0.01, schedule="two-level", batch=32, epochs=100, patience=5,
    ...     decay=0.5, local_decay=0.1)
    >>> multiplier = factor(recipe, batches=20)
    >>> multiplier(0, 0, 0), multiplier(0, 10, 0), multiplier(1, 0, 0), multiplier(1, 0, 2)
    (1.0, 0.5, 1.0, 0.25)
    """
    total = recipe.epochs * batches

    def multiplier(epoch: int, batch: int, cuts: int) -> float:
        step = epoch * batches + batch
        if recipe.schedule == "exponential":
            return recipe.decay**epoch
        if recipe.two_level:
            if recipe.schedule == "two-level":
                return recipe.decay**cuts / (1 + recipe.local_decay * batch)
            within = math.prod(1 / (1 + recipe.local_decay * step) for step in range(batch + 1))
            return recipe.decay ** (cuts * (cuts + 1) // 2) * within
        if recipe.schedule == "warm-cosine":
            if step < batches:
                return (step + 1) / batches
            return _cosine((step - batches) / max(1, total - batches))
        if recipe.schedule == "one-cycle":
            return _one_cycle(step, total)
        if recipe.schedule == "adam-then-sgd" and epoch >= (recipe.switch or 0):
            return _of_sgd(recipe, epoch) / recipe.learning_rate
        return 1.0

    return multiplier


def _of_sgd(recipe: Recipe, epoch: int) -> float:
    """Return the learning rate of SGD after Adam; the recipe is one that switches."""
    assert recipe.switch is not None
    assert recipe.cut_every is not None
    assert recipe.sgd_learning_rate is not None
    return recipe.sgd_learning_rate * recipe.decay ** ((epoch - recipe.switch) // recipe.cut_every)


def _cosine(place: float) -> float:
    """Return half a cosine from 1 at place 0 down to 0 at place 1."""
    return 0.5 * (1 + math.cos(math.pi * place))


def _one_cycle(step: int, total: int) -> float:
    """Return the multiplier of torch's ``OneCycleLR`` with its defaults, at a step of ``total``."""
    low, lowest, top = 1 / 25, 1 / 25 / 1e4, 0.3 * total - 1
    if step <= top:
        return 1 + (low - 1) * _cosine(step / top if top > 0 else 1)
    return lowest + (1 - lowest) * _cosine((step - top) / max(1, total - 1 - top))


def averaged(recipe: Recipe, model: nn.Module) -> AveragedModel | None:
    """Return the model whose weights are the mean that the recipe asks for, None if it asks for none."""
    if recipe.average == "none":
        return None
    mean = get_ema_multi_avg_fn(recipe.ema_decay) if recipe.average == "ema" else get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=mean, use_buffers=True)


def loss(logits: Tensor, targets: Tensor, exclusive: bool = False) -> Tensor:
    """Return the mean cross-entropy of independent tags, or of exclusive classes.

    logits: (clips, tags), or (heads, clips, tags) of heads that each learn the targets (clips, tags) by themselves.
    """
    targets = targets.expand(*logits.shape[:-2], *targets.shape)
    loss_of = F.cross_entropy if exclusive else F.binary_cross_entropy_with_logits
    return loss_of(logits.flatten(0, -2), targets.flatten(0, -2))


def augment(
    recipe: Recipe,
    features: Tensor,
    targets: Tensor,
    draws: np.random.Generator,
    clips: int | None = None,
    share: slice = ALL,
) -> tuple[Tensor, Tensor]:
    """Blend, offset and mask a batch as the recipe says.

    features: (clips, frames, dims). targets: (clips, tags). draws: numbers that are drawn on the CPU, so that they are
    the same for every device. share: which rows of a batch of so many ``clips`` are returned; only they need be in
    ``features``, unless clips are blended. They are what they are in the whole batch.
    """
    clips = len(features) if clips is None else clips
    where = features.device
    if recipe.mixup:
        drawn = draws.beta(recipe.mixup, recipe.mixup, (clips, 1)).astype(np.float32)
        weight = torch.from_numpy(np.maximum(drawn, 1 - drawn)).to(where)
        partner = torch.from_numpy(draws.permutation(clips)).to(where)
        features = weight[..., None] * features + (1 - weight[..., None]) * features[partner]
        targets = weight * targets + (1 - weight) * targets[partner]
    if len(features) == clips:
        features, targets = features[share], targets[share]
    if recipe.jitter:
        offset = torch.from_numpy(draws.standard_normal((clips, 1, features.shape[2]), np.float32))
        features = features + recipe.jitter * offset[share].to(where)
    for axis, longest in ((1, recipe.mask_frames), (2, recipe.mask_dims)):
        for _ in range(recipe.masks if longest else 0):
            masked = _stretches(clips, features.shape[axis], longest, draws)[share].to(where)
            features = features.masked_fill(masked.unsqueeze(3 - axis), 0.0)
    return features, targets


def _stretches(clips: int, size: int, share: float, draws: np.random.Generator) -> Tensor:
    """Return a mask (clips, size): one stretch per clip, at a random place, of a length up to ``share`` of the size."""
    lengths = draws.integers(0, int(share * size) + 1, (clips, 1))
    starts = draws.integers(0, size - lengths + 1)
    places = np.arange(size)
    return torch.from_numpy((places >= starts) & (places < starts + lengths))
