"""A network of any family by its name, its options, its embedding of a clip, and its number of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark import doors
from earmark.sections import ConfigError

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
    input does not suit the network, and ConfigError if the module cannot be imported or builds no torch module.
    """
    found = doors.opened("models", family)(n_tags=n_tags, frames=frames, dims=dims, **options)
    if not isinstance(found, nn.Module):
        raise ConfigError(f"`build` of models/{family}.py must return a torch.nn.Module, got {type(found).__name__}")
    return found


def resolve(family: str, given: Mapping[str, Any], *above: str) -> dict[str, Any]:
    """Return all options of a network, those that are not ``given`` with their defaults, validated by the signature.

    above: the keys of params.yaml that lead to the options, for errors. A ``build`` with ``**options`` takes any.

    Raises ConfigError if an option is unknown, missing or of another type, or if the module cannot be imported.
    """
    return doors.complete("models", family, given, above, ("n_tags", "frames", "dims"), others=True)


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
