"""The convolutional recurrent network of Panwar et al.: four convolution blocks over log-mel, then two GRU layers."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from earmark.models.layers.blocks import channels_last, conv2d_block, require_at_least
from earmark.models.layers.fused import fused_rnn

POOLS = (2, 3, 4, 4)
CHANNELS = (1, 64, 128, 128, 128)


class ConvolutionalRecurrent(nn.Module):
    """Four blocks (convolution 3 x 3, batch norm, ELU, pool) that reduce frames and dims 96 times, and two GRU(32).

    1366 x 96 log-mel is zero-padded to 1440 frames and becomes 15 steps of 128 values. The last step of the second GRU
    gives the tags. Clips of other lengths are zero-padded on both sides to the next multiple of 96 frames. The paper
    prints no dropout rate; here ``dropout`` follows every block.
    """

    def __init__(self, n_tags: int, frames: int, dims: int, *, units: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        self.reduction = prod(POOLS)
        require_at_least("frames", frames, 1, "there is nothing to read")
        require_at_least("dims", dims, self.reduction, f"the network pools dims by {POOLS}")
        blocks = [
            conv2d_block(i, o, (pool, pool), activation=nn.ELU, dropout=dropout)
            for (i, o), pool in zip(pairwise(CHANNELS), POOLS, strict=True)
        ]
        self.blocks = channels_last(nn.Sequential(*blocks))
        self.rnn = fused_rnn("gru", CHANNELS[-1] * (dims // self.reduction), units, layers=2)
        self.output = nn.Linear(units, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        missing = -features.shape[1] % self.reduction
        padded = F.pad(features, (0, 0, missing // 2, missing - missing // 2))
        maps = self.blocks(padded.unsqueeze(1))
        states, _ = self.rnn(maps.transpose(1, 2).flatten(2))  # (batch, channels, steps, bands) -> a vector per step
        return self.output(states[:, -1])


def build(n_tags: int, frames: int, dims: int, **options: float) -> nn.Module:
    """Build the network: (batch, frames, dims) -> logits (batch, n_tags). Raises ValueError if dims are too few."""
    return ConvolutionalRecurrent(n_tags, frames, dims, **options)  # type: ignore[arg-type]
