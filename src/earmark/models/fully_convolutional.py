"""Networks of 3 x 3 convolutions alone: the CNN of Song et al. 2018, and the FCN-4 of Choi et al. 2016."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from earmark.models.layers.blocks import Activation, activation_of, conv2d_blocks, require_poolable
from earmark.models.layers.initializers import start_as_tensorflow
from earmark.models.layers.options import Pools, pairs, require_choice, require_dropout, sizes

Initialization = Literal["torch", "glorot"]


class FullyConvolutional(nn.Module):
    """Four 3 x 3 blocks of 128, 384, 768 and 2048 channels, then the tags.

    As it stands it is the CNN of Song et al. 2018, Table 1, whose pools reduce 114 x 433 to 1 x 1. With pools of 4 x 2,
    5 x 4, 8 x 3 and 8 x 4 it is the FCN-4 of Choi et al. 2016, Table 1, and 1366 x 96 becomes 1 x 1. If more is left of
    a longer input, its maximum is taken, so the number of frames may differ from clip to clip.

    channels: of each block. pools: of each block, (frames, dims). dropout: after each block.
    initialization: of the weights: torch's default, or TensorFlow's, which is Glorot's.

    Raises ValueError if an option is out of its limits, or the input is too small for the pools.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        channels: Sequence[int] = (128, 384, 768, 2048),
        pools: Pools = ((2, 3), (3, 6), (4, 6), (4, 4)),
        dropout: float = 0.5,
        activation: Activation = "relu",
        initialization: Initialization = "torch",
    ) -> None:
        super().__init__()
        channels = sizes("channels", channels)
        pools = pairs("pools", pools, len(channels))
        require_dropout(dropout)
        require_choice("initialization", initialization, get_args(Initialization))
        require_poolable(frames, dims, pools)
        self.blocks = conv2d_blocks(channels, pools, activation=activation_of(activation), dropout=dropout)
        self.output = nn.Linear(channels[-1], n_tags)
        if initialization == "glorot":
            start_as_tensorflow(self)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        maps = self.blocks(features.unsqueeze(1))
        return self.output(maps.amax(dim=(2, 3)))


build = FullyConvolutional
