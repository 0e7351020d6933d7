"""A probe that learns which frames count: attention heads over time, and a linear layer on what they gather."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from earmark.models.layers.options import (
    require,
    require_at_least,
    require_choice,
    require_counts,
    require_dropout,
)
from earmark.models.layers.pooled_norm import pooled_norm
from earmark.models.layers.probes import mean_and_deviation

Score = Literal["linear", "tanh", "gated"]


class AttentionPool(nn.Module):
    """Weighted means over time, one per head, beside the plain mean and the deviation; one logit per tag.

    Head h gives frame x_t the weight a_t = softmax_t(s_h(x_t)), and gathers sum_t a_t x_t. The score s is

    - ``linear``: w . x (self-attention pooling: Safari, India and Hernando 2020),
    - ``tanh``: w . tanh(V x), with one V for all heads (Lin et al. 2017, equation 6; Ilse, Tomczak and Welling 2018,
      equation 8),
    - ``gated``: w . (tanh(V x) * sigmoid(U x)) (Ilse et al., equation 9).

    Any number of frames is pooled; their order does not count.

    heads: how many. score, score_units: its form, and the rows of V. projection: gather a linear map of the frames to
    so many dims, 0 for the frames themselves. statistics: whether mean and deviation of all frames stand beside what
    the heads gather. dropout: before the last layer. batch_norm: before that, for the same reason as in ``mlp``.

    Raises ValueError if an option is out of its limits, or if there is no frame or no value in it.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        heads: int = 4,
        score: Score = "tanh",
        score_units: int = 64,
        projection: int = 0,
        statistics: bool = True,
        dropout: float = 0.5,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        require_at_least("frames", frames, 1, "there is nothing to pool")
        require_at_least("dims", dims, 1, "a frame has no value")
        require_counts(heads=heads, score_units=score_units)
        require_choice("score", score, get_args(Score))
        require_at_least("projection", projection, 0)
        require_dropout(dropout)
        for name, value in (("statistics", statistics), ("batch_norm", batch_norm)):
            require(isinstance(value, bool), name, "be true or false", value)
        # A bias of the score would add the same to all frames, of which softmax takes no notice.
        self.seen = nn.Identity() if score == "linear" else nn.Linear(dims, score_units)
        self.gate = nn.Linear(dims, score_units) if score == "gated" else None
        self.scores = nn.Linear(dims if score == "linear" else score_units, heads, bias=False)
        self.score = score
        self.projection = nn.Linear(dims, projection) if projection else nn.Identity()
        self.statistics = statistics
        width = heads * (projection or dims) + (2 * dims if statistics else 0)
        self.norm = pooled_norm(width) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        weights = self.attention(features)
        pooled = [torch.einsum("bfh,bfd->bhd", weights, self.projection(features)).flatten(1)]
        if self.statistics:
            pooled.append(mean_and_deviation(features))
        return self.output(self.dropout(self.norm(torch.cat(pooled, dim=1))))

    def attention(self, features: Tensor) -> Tensor:
        """Return the weight of every frame for every head, (batch, frames, heads): positive, 1 in sum over frames."""
        seen = self.seen(features)
        if self.score != "linear":
            seen = torch.tanh(seen)
        if self.gate is not None:
            seen = seen * torch.sigmoid(self.gate(features))
        return torch.softmax(self.scores(seen), dim=1)


build = AttentionPool
