"""musicnn (Pons and Serra 2019): filters whose shapes fit music, tall ones for timbre and long ones for rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor, nn

from earmark.models.layers.options import (
    is_positive,
    positive,
    require,
    require_at_least,
    require_counts,
    require_dropout,
    sizes,
)


class _Front(nn.Module):
    """A convolution, ReLU, batch norm, maximum over the bands: (batch, 1, frames, dims) -> (batch, filters, frames)."""

    def __init__(self, filters: int, kernel: tuple[int, int], epsilon: float) -> None:
        super().__init__()
        length = kernel[0]
        self.pad = nn.ZeroPad2d((0, 0, (length - 1) // 2, length // 2))  # so that the number of frames stays
        self.convolution = nn.Conv2d(1, filters, kernel)
        self.norm = nn.BatchNorm2d(filters, eps=epsilon)

    def forward(self, maps: Tensor) -> Tensor:
        found = self.convolution(self.pad(maps)).relu()
        if self.training:
            return self.norm(found).amax(dim=3)
        # The norm of a band is that of the largest one, or of the smallest if the norm turns the order around: to norm
        # one band in place of all gives the same bits, and takes a third off the time of the network.
        highest = found.amax(dim=3, keepdim=True)
        falling = self.norm.weight < 0
        if bool(falling.any()):
            highest = torch.where(falling.reshape(1, -1, 1, 1), found.amin(dim=3, keepdim=True), highest)
        return self.norm(highest).squeeze(3)


class _Middle(nn.Module):
    """A convolution of 7 frames, ReLU and batch norm: (batch, inputs, frames) -> (batch, outputs, frames)."""

    def __init__(self, inputs: int, outputs: int, epsilon: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, 7, padding=3)
        self.norm = nn.BatchNorm1d(outputs, eps=epsilon)

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.convolution(maps).relu())


class MusiCNN(nn.Module):
    """Five banks of timbre and rhythm filters, three residual layers over time, and pooling over time.

    The paper trains on excerpts of 3 s (187 frames of 96 log-mel bands), and averages the scores over a clip's
    excerpts. The network takes any number of frames. Batch norm comes after ReLU, as in the authors' TensorFlow code.

    timbre: heights of the timbre filters, as fractions of the bands; each is 7 frames long. rhythm: lengths of the
    rhythm filters in frames; each is a band high. timbre_filters, rhythm_filters: how many of each height and length
    (int(1.6 * 128) and int(1.6 * 32) in the authors' code). middle: channels of the residual layers. units: of the
    hidden layer. dropout: before and after it. epsilon: what batch norms add to a variance (TensorFlow adds 0.001).

    What a layer makes of a clip is the output of the module of its name, for a forward hook: ``timbral`` and
    ``temporal`` (batch, filters, frames), ``cnn1``, ``cnn2``, ``cnn3`` (batch, middle, frames), ``max_pool`` and
    ``mean_pool`` (batch, channels), ``penultimate`` (batch, units), ``logits`` (batch, n_tags).

    Raises ValueError if an option is out of its limits, or dims are too few.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        timbre: Sequence[float] = (0.4, 0.7),
        timbre_filters: int = 204,
        rhythm: Sequence[int] = (128, 64, 32),
        rhythm_filters: int = 51,
        middle: int = 64,
        units: int = 200,
        dropout: float = 0.5,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        require(is_positive(epsilon), "epsilon", "be above 0", epsilon)
        heights, lengths = positive("timbre", timbre), sizes("rhythm", rhythm)
        require(max(heights) <= 1, "timbre", "be at most 1", timbre, "heights are fractions of the bands")
        require_counts(timbre_filters=timbre_filters, rhythm_filters=rhythm_filters, middle=middle, units=units)
        require_dropout(dropout)
        require_at_least("frames", frames, 1, "there is nothing to read")
        require_at_least("dims", dims, ceil(1 / min(heights)), f"the timbre filters cover {heights} of the bands")
        self.input_norm = nn.BatchNorm2d(1, eps=epsilon)
        tall = [_Front(timbre_filters, (7, max(1, int(height * dims))), epsilon) for height in heights]
        long = [_Front(rhythm_filters, (length, 1), epsilon) for length in lengths]
        self.n_tall = len(tall)
        self.front = nn.ModuleList([*tall, *long])
        width = len(tall) * timbre_filters + len(long) * rhythm_filters
        self.middle = nn.ModuleList([_Middle(inputs, middle, epsilon) for inputs in (width, middle, middle)])
        pooled = 2 * (width + 3 * middle)
        self.dense = nn.Sequential(
            nn.BatchNorm1d(pooled, eps=epsilon), nn.Dropout(dropout), nn.Linear(pooled, units), nn.ReLU(),
            nn.BatchNorm1d(units, eps=epsilon), nn.Dropout(dropout),
        )  # fmt: skip
        self.output = nn.Linear(units, n_tags)
        self.timbral, self.temporal = nn.Identity(), nn.Identity()  # names for outputs: they change nothing
        self.cnn1, self.cnn2, self.cnn3 = nn.Identity(), nn.Identity(), nn.Identity()
        self.max_pool, self.mean_pool = nn.Identity(), nn.Identity()
        self.penultimate, self.logits = nn.Identity(), nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        maps = self.input_norm(features.unsqueeze(1))
        banks = [bank(maps) for bank in self.front]
        timbral = self.timbral(torch.cat(banks[: self.n_tall], dim=1))
        temporal = self.temporal(torch.cat(banks[self.n_tall :], dim=1))
        front = torch.cat([timbral, temporal], dim=1)
        first = self.cnn1(self.middle[0](front))
        second = self.cnn2(self.middle[1](first) + first)
        third = self.cnn3(self.middle[2](second) + second)
        layers = torch.cat([front, first, second, third], dim=1)
        pooled = torch.cat([self.max_pool(layers.amax(dim=2)), self.mean_pool(layers.mean(dim=2))], dim=1)
        return self.logits(self.output(self.penultimate(self.dense(pooled))))


build = MusiCNN
