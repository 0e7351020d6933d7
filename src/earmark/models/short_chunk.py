"""Short-chunk CNN with residual connections (Won et al. 2020), which has the best ROC-AUC of their comparison."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from earmark.models.layers.blocks import channels_last
from earmark.models.layers.options import require_at_least, require_counts, require_dropout


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, the first with stride 2, around a 3 x 3 shortcut of stride 2.

    (batch, inputs, h, w) -> (batch, outputs, ceil(h / 2), ceil(w / 2)).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs))
        self.activation = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of branch and shortcut, rectified."""
        return self.activation(self.branch(maps) + self.shortcut(maps))


class ShortChunkCNN(nn.Module):
    """Seven residual blocks of stride 2, the maximum over what they leave, and two dense layers.

    The paper trains on excerpts of 3.69 s (231 frames of 128 log-mel bands), which it calls chunks, and averages the
    scores over a clip's excerpts. The network takes any number of frames and dims. The authors' code also has the batch
    norm on the input.

    channels: of the first two blocks; four have twice as many, the last four times. dropout: before the last layer.

    Raises ValueError if an option is out of its limits, or the input is empty.
    """

    def __init__(self, n_tags: int, frames: int, dims: int, *, channels: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        for name, size in (("frames", frames), ("dims", dims)):
            require_at_least(name, size, 1, "there is nothing to read")
        require_counts(channels=channels)
        require_dropout(dropout)
        widths = (1, channels, channels, *[2 * channels] * 4, 4 * channels)
        self.input_norm = nn.BatchNorm2d(1)
        self.blocks = channels_last(nn.Sequential(*[ResidualBlock(i, o) for i, o in pairwise(widths)]))
        self.dense = nn.Sequential(
            nn.Linear(widths[-1], widths[-1]), nn.BatchNorm1d(widths[-1]), nn.ReLU(), nn.Dropout(dropout)
        )
        self.output = nn.Linear(widths[-1], n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        maps = self.blocks(self.input_norm(features.unsqueeze(1)))
        return self.output(self.dense(maps.amax(dim=(2, 3))))


build = ShortChunkCNN
