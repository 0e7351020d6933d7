"""A split of two tags, and a small network that can learn them."""

from __future__ import annotations

import torch
from torch import nn

from earmark.corpus.label_table import Labelled
from earmark.features.dataset import Split


def split(clips=24, seed=0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(clips, 4, 3, generator=generator)
    targets = torch.stack([features.mean((1, 2)) > 0, features[:, 0, 0] > 0], 1).float()
    who = tuple(Labelled(str(i), f"song{i}", "artist", "train") for i in range(clips))
    return Split(features, targets, who, ("sum", "first"), 0)


class Small(nn.Module):
    """Two layers with dropout, so that random numbers matter."""

    def __init__(self, inputs: int = 12) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))

    def forward(self, features):
        return self.net(features)
