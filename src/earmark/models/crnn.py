"""The convolutional recurrent network of Panwar et al.: four convolution blocks over log-mel, then two GRU layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from earmark.models.layers.blocks import Activation, activation_of, conv2d_blocks
from earmark.models.layers.fused import fused_rnn
from earmark.models.layers.options import Pools, pairs, require_at_least, require_counts, require_dropout, sizes


class ConvolutionalRecurrent(nn.Module):
    """Four blocks (convolution 3 x 3, batch norm, ELU, pool) that reduce frames and dims 96 times, and two GRU(32).

    1366 x 96 log-mel is zero-padded to 1440 frames and becomes 15 steps of 128 values. The last step of the second GRU
    gives the tags. Clips of other lengths are zero-padded on both sides to the next multiple of 96 frames.

    channels, pools: of each block, pools as (frames, dims). layers, units: of the GRU. dropout: after every block; the
    paper has none.

    Raises ValueError if an option is out of its limits, or dims are too few.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        channels: Sequence[int] = (64, 128, 128, 128),
        pools: Pools = ((2, 2), (3, 3), (4, 4), (4, 4)),
        layers: int = 2,
        units: int = 32,
        dropout: float = 0.0,
        activation: Activation = "elu",
    ) -> None:
        super().__init__()
        channels = sizes("channels", channels)
        pools = pairs("pools", pools, len(channels))
        require_counts(layers=layers, units=units)
        require_dropout(dropout)
        self.reduction = prod(pool for pool, _ in pools)
        of_dims = [pool for _, pool in pools]
        require_at_least("frames", frames, 1, "there is nothing to read")
        require_at_least("dims", dims, prod(of_dims), f"the network pools dims by {of_dims}")
        self.blocks = conv2d_blocks(channels, pools, activation=activation_of(activation), dropout=dropout)
        self.rnn = fused_rnn("gru", channels[-1] * (dims // prod(of_dims)), units, layers=layers)
        self.output = nn.Linear(units, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        missing = -features.shape[1] % self.reduction
        padded = F.pad(features, (0, 0, missing // 2, missing - missing // 2))
        maps = self.blocks(padded.unsqueeze(1))
        states, _ = self.rnn(maps.transpose(1, 2).flatten(2))  # (batch, channels, steps, bands) -> a vector per step
        return self.output(states[:, -1])


build = ConvolutionalRecurrent
