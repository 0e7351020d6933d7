"""The 2-d CNN of Dalla Longa et al.: valid convolutions over log-mel, flattened into the tags."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from earmark.models.layers.blocks import Activation, activation_of, conv2d_blocks, require_poolable, size_after
from earmark.models.layers.options import Pools, pairs, require_dropout, sizes


class Convolutional2d(nn.Module):
    """Four valid 3 x 3 convolutions with pools of 2, flattened into the tags.

    261 x 128 log-mel becomes 14 x 6 x 64 = 5376 values. The flat layer fixes the number of frames. It does not matter
    which axis is first: with transposed kernels the scores are the same.

    channels: of each block. pools: of each block, (frames, dims). dropout: after each block.

    Raises ValueError if an option is out of its limits, or the input is too small.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        channels: Sequence[int] = (32, 64, 64, 64),
        pools: Pools = ((2, 2), (2, 2), (2, 2), (2, 2)),
        dropout: float = 0.1,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        channels = sizes("channels", channels)
        pools = pairs("pools", pools, len(channels))
        require_dropout(dropout)
        require_poolable(frames, dims, pools, kernel=3)
        self.blocks = conv2d_blocks(channels, pools, padding=0, activation=activation_of(activation), dropout=dropout)
        frames_left = size_after(frames, [pool for pool, _ in pools], 3)
        dims_left = size_after(dims, [pool for _, pool in pools], 3)
        self.output = nn.Linear(channels[-1] * frames_left * dims_left, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        maps = self.blocks(features.unsqueeze(1))
        return self.output(maps.flatten(1))


build = Convolutional2d
