"""A trained model's scores for a split, and the table that holds them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark import systems
from earmark.dataset import Split
from earmark.manifest import write_csv


def load_model(system: str, state: Path, tags: int, frames: int, dims: int) -> nn.Module:
    """Build a system and put trained weights into it, ready to score."""
    model = systems.build(system, tags, frames, dims)
    model.load_state_dict(torch.load(state, map_location="cpu", weights_only=True))
    return model.eval()


@torch.inference_mode()
def score(model: nn.Module, features: Tensor, batch: int = 32) -> NDArray[np.float64]:
    """Probability of every tag: features (clips, frames, dims) -> (clips, tags) in [0, 1]."""
    parts = [torch.sigmoid(model(part).double()) for part in features.split(batch)]
    return torch.cat(parts).cpu().numpy()


def write_scores(path: Path, split: Split, scores: NDArray[np.float64]) -> None:
    """Write clip_id, song and one probability per tag."""
    rows = (
        [clip.clip_id, clip.song, *(f"{value:.9g}" for value in row)]
        for clip, row in zip(split.clips, scores.tolist(), strict=True)
    )
    write_csv(path, ["clip_id", "song", *split.tags], rows)


def read_scores(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Read clip ids and probabilities (clips, tags) of what ``write_scores`` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], np.array([[float(v) for v in row[2:]] for row in rows])
