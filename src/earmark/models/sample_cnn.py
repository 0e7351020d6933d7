"""Networks on the waveform itself, from three samples at one time upwards (Lee et al. 2017; Dalla Longa et al.)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from earmark.models.layers.blocks import conv1d_block, smallest_size
from earmark.models.layers.options import require, require_at_least, require_dropout, require_waveform, sizes

# channels after the strided convolution, then after every convolution that is pooled by 3
FRAME = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)
SONG = (128, 128, 256, 256, 256, 256, 256, 256, 512)


class SampleCNN(nn.Module):
    """A convolution of 3 with stride 3, then convolutions of 3, each pooled by 3, and the tags.

    whole_song false:
        the "3^9" network of Lee et al. 2017, Table 1. 59,049 samples become a vector, which passes a last convolution
        of 1 before the tags. A longer input leaves several vectors, of which the maximum is taken.
    whole_song true:
        the network of Dalla Longa et al., Table 1. 465,984 samples become 23 vectors, flattened into the tags. The flat
        layer fixes the number of samples.

    channels: after the strided convolution, then after every convolution that is pooled by 3 (default: the published
    ones). dropout: before the last layer.

    Raises ValueError if an option is out of its limits, or the input is not a waveform, or is too short.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        whole_song: bool = False,
        channels: Sequence[int] | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_waveform(dims)
        require(isinstance(whole_song, bool), "whole_song", "be true or false", whole_song)
        channels = (SONG if whole_song else FRAME) if channels is None else sizes("channels", channels)
        require_dropout(dropout)
        limit = 3 * smallest_size([3] * (len(channels) - 1))
        require_at_least("frames", frames, limit, f"{len(channels)} layers divide the samples by 3 each")
        layers: list[nn.Module] = [conv1d_block(1, channels[0], 3, stride=3)]
        layers += [conv1d_block(i, o, 3, padding=1, pool=3) for i, o in pairwise(channels)]
        if not whole_song:
            layers.append(conv1d_block(channels[-1], channels[-1], 1))
        self.layers = nn.Sequential(*layers)
        self.reduce: nn.Module = nn.Flatten() if whole_song else _Maximum()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels[-1] * (_steps(frames, channels) if whole_song else 1), n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of a waveform (batch, n_samples, 1)."""
        vectors = self.layers(features.transpose(1, 2))
        return self.output(self.dropout(self.reduce(vectors)))


class _Maximum(nn.Module):
    """The maximum over time: (batch, channels, steps) -> (batch, channels)."""

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors.amax(dim=2)


def _steps(n_samples: int, channels: Sequence[int]) -> int:
    """Return how many vectors the layers leave of ``n_samples``."""
    for _ in channels:
        n_samples //= 3
    return n_samples


build = SampleCNN
