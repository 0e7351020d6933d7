"""Convolutional taggers: Song et al. 2018, Choi et al. 2016, and the 2-d CNN and BiLSTM of Dalla Longa et al."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from earmark.models.layers.blocks import channels_last, conv2d_block, require_at_least, size_after, smallest_size
from earmark.models.layers.fused import fused_rnn

Pools = tuple[tuple[int, int], ...]
SCATTERING_POOLS: Pools = ((2, 3), (3, 6), (4, 6), (4, 4))
FCN_POOLS: Pools = ((4, 2), (5, 4), (8, 3), (8, 4))


class FullyConvolutional(nn.Module):
    """Four 3 x 3 blocks of 128, 384, 768 and 2048 channels, then the tags.

    With ``SCATTERING_POOLS`` it is the CNN of Song et al. 2018, Table 1, whose pools reduce 114 x 433 to 1 x 1. With
    ``FCN_POOLS`` it is the FCN-4 of Choi et al. 2016, Table 1, whose pools reduce 1366 x 96 to 1 x 1. If more is left
    of a longer input, its maximum is taken, so the number of frames may differ from clip to clip.
    """

    def __init__(self, n_tags: int, frames: int, dims: int, *, pools: Pools) -> None:
        super().__init__()
        for axis, name, size in ((0, "frames", frames), (1, "dims", dims)):
            steps = [pool[axis] for pool in pools]
            require_at_least(name, size, smallest_size(steps), f"the network pools {name} by {steps}")
        channels = (1, 128, 384, 768, 2048)
        pairs = zip(pairwise(channels), pools, strict=True)
        blocks = [conv2d_block(i, o, pool, dropout=0.5) for (i, o), pool in pairs]
        self.blocks = channels_last(nn.Sequential(*blocks))
        self.output = nn.Linear(channels[-1], n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        maps = self.blocks(features.unsqueeze(1))
        return self.output(maps.amax(dim=(2, 3)))


class Convolutional2d(nn.Module):
    """The 2-d CNN of Dalla Longa et al.: four valid 3 x 3 convolutions with pools of 2, flattened into the tags.

    261 x 128 log-mel becomes 14 x 6 x 64 = 5376 values. The flat layer fixes the number of frames. It does not matter
    which axis is first: with transposed kernels the scores are the same.
    """

    def __init__(self, n_tags: int, frames: int, dims: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        pools = (2, 2, 2, 2)
        for name, size in (("frames", frames), ("dims", dims)):
            reason = "four valid 3 x 3 convolutions, each pooled by 2, would leave nothing"
            require_at_least(name, size, smallest_size(pools, kernel=3), reason)
        channels = (1, 32, 64, 64, 64)
        blocks = [conv2d_block(i, o, (2, 2), padding=0, dropout=dropout) for i, o in pairwise(channels)]
        self.blocks = channels_last(nn.Sequential(*blocks))
        self.output = nn.Linear(64 * size_after(frames, pools, 3) * size_after(dims, pools, 3), n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        maps = self.blocks(features.unsqueeze(1))
        return self.output(maps.flatten(1))


class BidirectionalLSTM(nn.Module):
    """The mel BiLSTM of Dalla Longa et al.: two BiLSTM(100), three valid convolutions 3-50, flattened into the tags.

    227 x 128 log-mel becomes 221 x 50 values. The flat layer fixes the number of frames. The paper does not say which
    activation it uses; this is ReLU.
    """

    def __init__(self, n_tags: int, frames: int, dims: int, *, units: int = 100, channels: int = 50) -> None:
        super().__init__()
        convolutions = 3
        left = frames - 2 * convolutions
        require_at_least("frames", frames, 2 * convolutions + 1, "three valid convolutions of 3 would leave nothing")
        require_at_least("dims", dims, 1, "a frame has no value")
        self.lstm = fused_rnn("lstm", dims, units, layers=2, bidirectional=True)
        sizes = (2 * units, *[channels] * convolutions)
        layers: list[nn.Module] = []
        for i, o in pairwise(sizes):
            layers += [nn.Conv1d(i, o, 3), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.output = nn.Linear(left * channels, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        states, _ = self.lstm(features)
        maps = self.convolutions(states.transpose(1, 2))
        return self.output(maps.flatten(1))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "scat-4l-cnn": partial(FullyConvolutional, pools=SCATTERING_POOLS),
    "fcn-4": partial(FullyConvolutional, pools=FCN_POOLS),
    "2d-cnn": Convolutional2d,
    "bilstm": BidirectionalLSTM,
}


def build(n_tags: int, frames: int, dims: int, *, network: str, **options: float) -> nn.Module:
    """Build one of ``NETWORKS``: (batch, frames, dims) -> logits (batch, n_tags).

    options: the keyword arguments of its class. Raises ValueError for another name, or if the input is too small.
    """
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {sorted(NETWORKS)}, got {network!r}")
    return NETWORKS[network](n_tags, frames, dims, **options)
