"""A network of any family by its name, and its number of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Measure = Callable[[NDArray[np.float64], NDArray[np.float32]], float]  # of scores and targets, both (clips, tags)


@runtime_checkable
class SelfFitting(Protocol):
    """A model that is not trained by gradient steps: it fits itself and returns the (setting, ROC-AUC) pairs tried."""

    def fit(
        self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], measure: Measure
    ) -> list[tuple[float, float]]:
        """Fit on ``train``, choose the setting that ``measure`` finds best on ``valid``; both (features, targets)."""
        ...


def network(family: str, n_tags: int, frames: int, dims: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a network of a family: features (batch, frames, dims) -> logits (batch, n_tags)."""
    build: Callable[..., nn.Module] = import_module(f"earmark.models.{family}").build
    return build(n_tags=n_tags, frames=frames, dims=dims, **options)


def embed(network: nn.Module, features: Tensor) -> Tensor:
    """Return what the last linear layer of a network takes: (batch, width), for features (batch, frames, dims).

    The last one is the one that runs last, and gives the logits. Raises ValueError if no linear layer runs.
    """
    inputs: list[Tensor] = []
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0])) for layer in layers]
    try:
        network(features)
    finally:
        for hook in hooks:
            hook.remove()
    if not inputs:
        raise ValueError(f"{type(network).__name__} runs no nn.Linear, whose input would be the embedding")
    return inputs[-1]


def count_parameters(module: nn.Module, counting: Literal["trainable", "keras"] = "trainable") -> int:
    """Count the trainable parameters; "keras" adds batch norm's running statistics, so four per channel.

    Keras' summary counts a batch norm's scale, shift, mean and variance in one total.
    """
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    if counting == "trainable":
        return trainable
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    return trainable + sum(2 * norm.num_features for norm in norms)
