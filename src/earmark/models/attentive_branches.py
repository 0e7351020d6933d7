"""A branch per representation: convolutions, attention heads beside mean and deviation over time, averaged logits.

Attention heads as weights over time that a network learns: Ilse et al. 2018, Attention-based deep multiple instance
learning, Eq. 8, without its gate. Mean and deviation beside them: Okabe et al. 2018, Attentive statistics pooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from earmark.models.layers.options import (
    MOST_MODULES,
    is_at_least_zero,
    is_positive,
    require,
    require_at_least,
    require_counts,
    require_dropout,
    sizes,
)
from earmark.models.layers.probes import mean_and_deviation


class AttentiveBranches(nn.Module):
    """Several small networks side by side, each of which learns all tags by itself; their logits are averaged.

    On few hundred clips, one loss for the average of the branches lets the fastest of them learn and the others idle;
    a loss for each does not.

    parts: how many dims each part of a joint representation has, in the order of its parts; every part has a branch.
    By default all dims have one. members: so many branches for every part, which differ in their first weights.
    layers, channels, kernel: of a branch's convolutions over time, of which the first is ``kernel`` frames long and the
    others one frame. heads: of its attention. dropout: before its last layer.
    seen: the share of the frames, from a place that is drawn for every step, that the branches see in training; of a
    whole clip they would learn as much, in twice the time.
    statistics: one more branch, logistic regression on mean and deviation of all dims over the whole clip. penalty: its
    L2 penalty, in units of scikit-learn's 1 / (C n).

    Raises ValueError if an option is out of its limits, or the input is too small.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        parts: Sequence[int] = (),
        members: int = 1,
        layers: int = 2,
        channels: int = 96,
        kernel: int = 3,
        heads: int = 4,
        dropout: float = 0.5,
        seen: float = 0.5,
        statistics: bool = True,
        penalty: float = 1.0,
    ) -> None:
        super().__init__()
        require_at_least("dims", dims, 1, "a frame has no value")
        require_at_least("frames", frames, 1, "there is nothing to read")
        self.parts = list(sizes("parts", parts)) if parts else [dims]
        require(sum(self.parts) == dims, "parts", f"add up to dims={dims}", list(parts), "the dims of the parts")
        require_counts(members=members, layers=layers, channels=channels, kernel=kernel, heads=heads)
        built = members * len(self.parts) * layers
        require(
            built <= MOST_MODULES, "members", f"make at most {MOST_MODULES} layers in all", members, f"{built} here"
        )
        require(kernel % 2 == 1, "kernel", "be odd", kernel, "its middle is a frame")
        require_dropout(dropout)
        require(is_positive(seen) and seen <= 1, "seen", "be in (0, 1]", seen, "a share of the frames")
        require(isinstance(statistics, bool), "statistics", "be true or false", statistics)
        require(is_at_least_zero(penalty), "penalty", "be at least 0", penalty)
        self.seen = seen
        self.branches = nn.ModuleList(
            _Branch(n_tags, part, layers, channels, kernel, heads, dropout)
            for _ in range(members)
            for part in self.parts
        )
        n_losses = len(self.branches) + statistics
        self.statistics = _Statistics(n_tags, dims, penalty / (n_tags * n_losses)) if statistics else None

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims).

        In training they are those of every branch, (branches, batch, n_tags): each of them has a loss.
        """
        found = [] if self.statistics is None else [self.statistics(features)]
        if self.training:
            features = _drawn(features, max(1, round(self.seen * features.shape[1])))
        parts = torch.split(features, self.parts, dim=2)
        found += [branch(parts[i % len(parts)]) for i, branch in enumerate(self.branches)]
        logits = torch.stack(found)
        return logits if self.training else logits.mean(dim=0)


def _drawn(features: Tensor, frames: int) -> Tensor:
    """Return ``frames`` frames of a batch, from a place that is drawn."""
    first = int(torch.randint(features.shape[1] - frames + 1, ()))
    return features[:, first : first + frames]


class _Branch(nn.Module):
    """Convolutions, then attention heads beside mean and deviation over time: (batch, frames, dims) -> logits."""

    def __init__(
        self, n_tags: int, dims: int, layers: int, channels: int, kernel: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        stack: list[nn.Module] = []
        for layer in range(layers):
            width = kernel if layer == 0 else 1
            inputs = dims if layer == 0 else channels
            stack += [nn.Conv1d(inputs, channels, width, padding=width // 2), nn.BatchNorm1d(channels), nn.ReLU()]
        self.convolutions = nn.Sequential(*stack)
        self.attention = nn.Conv1d(channels, heads, 1)
        width = channels * (heads + 2)
        self.output = nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(dropout), nn.Linear(width, n_tags))

    def forward(self, features: Tensor) -> Tensor:
        maps = self.convolutions(features.transpose(1, 2))
        weights = self.attention(maps).softmax(dim=2)
        heard = torch.einsum("bht,bct->bhc", weights, maps).flatten(1)
        # The constant keeps the gradient finite where a channel does not change.
        deviation = (maps.var(dim=2, correction=0) + 1e-6).sqrt()
        return self.output(torch.cat([heard, maps.mean(dim=2), deviation], dim=1))


class _Statistics(nn.Module):
    """Logistic regression on mean and deviation over time, (batch, frames, dims) -> logits, from weights of 0 on.

    penalty: half of it times the square of the weights would be added to the loss. It is added to the gradient, because
    the weight decay of an optimizer acts on all weights of a network alike.
    """

    def __init__(self, n_tags: int, dims: int, penalty: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * dims, affine=False)
        self.output = nn.Linear(2 * dims, n_tags)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        weight = self.output.weight
        weight.register_hook(lambda gradient: gradient + penalty * weight.detach())  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor) -> Tensor:
        return self.output(self.norm(mean_and_deviation(features)))


build = AttentiveBranches
