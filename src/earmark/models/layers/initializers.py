"""Initial values of kernels: those with which the signal of a clip survives five layers, and TensorFlow's own."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn


def initialize_input(weight: Tensor, gates: int) -> None:
    """Fill an input kernel, (gates * units, inputs), with values so wide that a layer passes on its signal.

    With torch's default each layer loses most of it, and the network learns nothing for many epochs.
    """
    for gate in weight.chunk(gates):
        nn.init.xavier_uniform_(gate, gain=nn.init.calculate_gain("tanh"))


def initialize_recurrent(weight: Tensor, gates: int) -> None:
    """Fill a recurrent kernel, (gates * units, units), with orthogonal matrices: a state neither fades nor grows."""
    for gate in weight.chunk(gates):
        nn.init.orthogonal_(gate)


def fill_glorot(*parts: Tensor) -> None:
    """Fill the parts of one kernel, (outputs, inputs) each, with values of Glorot's uniform distribution.

    The limit is sqrt(6 / (inputs + outputs)) of the whole kernel, in which the parts stand side by side: TensorFlow's
    cells have one kernel for the input and the state, and all gates that read the same.
    """
    outputs, inputs = len(parts[0]), sum(part.shape[1] for part in parts)
    limit = sqrt(6 / (inputs + outputs))
    for part in parts:
        nn.init.uniform_(part, -limit, limit)


@torch.no_grad()
def start_as_tensorflow(network: nn.Module) -> None:
    """Fill the dense and the convolution layers as TensorFlow does: Glorot's uniform kernels, biases of zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
