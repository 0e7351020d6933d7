"""Initial values of recurrent weights, with which the signal of a clip survives five layers."""

from __future__ import annotations

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
