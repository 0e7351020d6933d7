"""How recurrent weights start: so that the clip's signal survives five layers."""

from __future__ import annotations

from torch import Tensor, nn


def initialize_input(weight: Tensor, gates: int) -> None:
    """Fill an input kernel, (gates * units, inputs), wide enough for its signal to pass a layer undiminished.

    Torch's default loses most of it in each layer, and nothing is learnt for many epochs.
    """
    for gate in weight.chunk(gates):
        nn.init.xavier_uniform_(gate, gain=nn.init.calculate_gain("tanh"))


def initialize_recurrent(weight: Tensor, gates: int) -> None:
    """Fill a recurrent kernel, (gates * units, units): orthogonal, so that a state neither fades nor grows."""
    for gate in weight.chunk(gates):
        nn.init.orthogonal_(gate)
