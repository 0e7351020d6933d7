"""The BiLSTM of Dalla Longa et al. on log-mel: recurrent layers in both directions, then convolutions over time."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from earmark.models.layers.blocks import Activation, activation_of
from earmark.models.layers.fused import fused_rnn
from earmark.models.layers.options import require_at_least, require_counts, require_dropout


class BidirectionalLSTM(nn.Module):
    """Two BiLSTM(100), three valid convolutions 3-50, flattened into the tags.

    227 x 128 log-mel becomes 221 x 50 values. The flat layer fixes the number of frames. The paper does not say which
    activation it uses; this is ReLU.

    layers, units: of the BiLSTM, units in each direction. convolutions, channels: how many convolutions of how many
    channels each. dropout: between the recurrent layers; the paper names none.

    Raises ValueError if an option is out of its limits, or the input is too small.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        layers: int = 2,
        units: int = 100,
        convolutions: int = 3,
        channels: int = 50,
        dropout: float = 0.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        require_counts(layers=layers, units=units, convolutions=convolutions, channels=channels)
        require_dropout(dropout)
        limit = 2 * convolutions + 1
        require_at_least("frames", frames, limit, f"{convolutions} valid convolutions of 3 would leave nothing")
        require_at_least("dims", dims, 1, "a frame has no value")
        activate = activation_of(activation)
        self.lstm = fused_rnn("lstm", dims, units, layers=layers, dropout=dropout, bidirectional=True)
        stack: list[nn.Module] = []
        for i, o in pairwise((2 * units, *[channels] * convolutions)):
            stack += [nn.Conv1d(i, o, 3), activate()]
        self.convolutions = nn.Sequential(*stack)
        self.output = nn.Linear((frames - 2 * convolutions) * channels, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        states, _ = self.lstm(features)
        maps = self.convolutions(states.transpose(1, 2))
        return self.output(maps.flatten(1))


build = BidirectionalLSTM
