"""A probe with one hidden layer on the mean and the deviation of features over time."""

from __future__ import annotations

from torch import Tensor, nn

from earmark.models.layers.blocks import Activation, activation_of
from earmark.models.layers.options import require, require_at_least, require_counts, require_dropout
from earmark.models.layers.pooled_norm import pooled_norm
from earmark.models.layers.probes import mean_and_deviation


class MultilayerPerceptron(nn.Module):
    """Mean and standard deviation over time, batch norm, a hidden layer, dropout, and one logit per tag.

    It hears what ``linear`` hears, and is trained by gradient: what it finds beyond ``linear`` are dims that count only
    together. Any number of frames is pooled.

    hidden: units of the hidden layer. dropout: after it. activation: of it. batch_norm: bring the pooled values to a
    common scale. Features are standardised frame by frame, so their means over time deviate by less than 1, and their
    deviations lie around 1 and not around 0; without it the means count little.

    Raises ValueError if an option is out of its limits, or if there is no frame or no value in it.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        hidden: int = 256,
        dropout: float = 0.5,
        activation: Activation = "relu",
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        require_at_least("frames", frames, 1, "there is nothing to pool")
        require_at_least("dims", dims, 1, "a frame has no value")
        require_counts(hidden=hidden)
        require_dropout(dropout)
        require(isinstance(batch_norm, bool), "batch_norm", "be true or false", batch_norm)
        self.norm = pooled_norm(2 * dims) if batch_norm else nn.Identity()
        self.hidden = nn.Linear(2 * dims, hidden)
        self.activation = activation_of(activation)()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        units = self.activation(self.hidden(self.norm(mean_and_deviation(features))))
        return self.output(self.dropout(units))


build = MultilayerPerceptron
