"""Torch's fused recurrent layers (cuDNN on a GPU) with the one bias per gate that the papers count."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

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
    """Stacked ``nn.GRU`` or ``nn.LSTM``, batch first, whose recurrent biases are frozen at zero.

    Torch gives every gate two biases because cuDNN's interface has two. TensorFlow's and Keras' cells, and so the
    papers' counts, have one. Freezing the second leaves the fast path as it is, and the number of trainable
    parameters is the published one; with the frozen ones it is torch's own (5 x 512 GRU on 433 inputs with 50
    outputs: 7,776,306 trainable, 7,783,986 in all).

    The gates start as TensorFlow's cells do, open for memory: bias 1 on the forget gate of an LSTM and on both
    gates of a GRU. The kernels start as in ``starts``. ``dropout`` acts between layers.
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
    # torch's order of gates is r, z, n for a GRU and i, f, g, o for an LSTM
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
