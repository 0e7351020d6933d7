"""A network of any family by its name, its embedding of a clip, and its number of parameters."""

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
    """A network that fits itself, and is not trained by gradient steps."""

    def fit(
        self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], measure: Measure
    ) -> list[tuple[float, float]]:
        """Fit on ``train`` with the setting that is best on ``valid``; return the (setting, measure) pairs tried.

        train, valid: features (clips, frames, dims) and targets (clips, tags). measure: higher is better.
        """
        ...


def network(family: str, n_tags: int, frames: int, dims: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a network of a family: features (batch, frames, dims) -> logits (batch, n_tags).

    family: a module of ``earmark.models``. options: the keyword arguments of its ``build``. Raises ValueError if the
    input does not suit the network.
    """
    build: Callable[..., nn.Module] = import_module(f"earmark.models.{family}").build
    return build(n_tags=n_tags, frames=frames, dims=dims, **options)


def embed(network: nn.Module, features: Tensor) -> Tensor:
    """Return the input of a network's last linear layer, (batch, width), for features (batch, frames, dims).

    The last layer is the one that runs last: it makes the logits. Raises ValueError if no linear layer runs.
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
    """Return the number of trainable parameters; "keras" adds the running statistics of batch norms.

    The total of Keras' summary has four numbers per channel of a batch norm: scale, shift, mean and variance.
    """
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    if counting == "trainable":
        return trainable
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    return trainable + sum(2 * norm.num_features for norm in norms)
