"""Torch's fused recurrent layers (cuDNN on a GPU) with the one bias per gate that the papers count."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from earmark.models.layers.initializers import initialize_input, initialize_recurrent


def fused_rnn(
    kind: Literal["gru", "lstm"],
    inputs: int,
    units: int,
    *,
    layers: int = 1,
    dropout: float = 0.0,
    bidirectional: bool = False,
) -> nn.RNNBase:
    """Return a stack of ``nn.GRU`` or ``nn.LSTM`` layers, batch first, whose recurrent biases are frozen at zero.

    Torch has two biases per gate because cuDNN has two. TensorFlow and Keras have one, and so have the numbers of
    parameters in the papers. If the second bias is frozen, the layers are as fast, and the number of trainable
    parameters is the published one (5 x 512 GRU on 433 inputs with 50 outputs: 7,776,306 trainable ones, 7,783,986 in
    all).

    As in TensorFlow the gates start open for memory: bias 1 for the forget gate of an LSTM, and for both gates of a
    GRU. The kernels start as in ``initializers``. dropout: between layers.
    """
    layer, gates = (nn.GRU, 3) if kind == "gru" else (nn.LSTM, 4)
    rnn = layer(
        inputs,
        units,
        num_layers=layers,
        batch_first=True,
        dropout=dropout if layers > 1 else 0.0,
        bidirectional=bidirectional,
    )
    # torch has the gates in the order r, z, n for a GRU, and i, f, g, o for an LSTM
    opened = slice(0, 2 * units) if kind == "gru" else slice(units, 2 * units)
    with torch.no_grad():
        for name, parameter in rnn.named_parameters():
            if name.startswith("weight_ih"):
                initialize_input(parameter, gates)
            if name.startswith("weight_hh"):
                initialize_recurrent(parameter, gates)
            if name.startswith("bias"):
                parameter.zero_()
            if name.startswith("bias_ih"):
                parameter[opened] = 1.0
            if name.startswith("bias_hh"):
                parameter.requires_grad_(False)
    return rnn


def fused_kernels(rnn: nn.RNNBase) -> Sequence[Sequence[Tensor]]:
    """Return the kernels of all layers as TensorFlow's cells have them, each as the parts of it that are kept here.

    An LSTM has one kernel for the input and the state; a GRU has two, of the gates and of the candidate.
    """
    found: list[Sequence[Tensor]] = []
    for name, of_input in rnn.named_parameters():
        if name.startswith("weight_ih"):
            of_state = rnn.get_parameter(name.replace("_ih", "_hh"))
            ends = [rnn.hidden_size * gates for gates in ((0, 2, 3) if isinstance(rnn, nn.GRU) else (0, 4))]
            found += [(of_input[start:end], of_state[start:end]) for start, end in pairwise(ends)]
    return found
