"""The scores and embeddings of clips by a trained model, and the table of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark import devices, progress
from earmark.errors import EarmarkError
from earmark.features.dataset import Split, starts
from earmark.features.placing import Features
from earmark.models import networks
from earmark.models.saved import SavedModel
from earmark.storage import sealed_csv

_COLUMNS = ("clip_id", "song", "seed")
BATCH = 32  # clips that are scored at one time


def count_excerpts(frames: int, excerpt: int) -> int:
    """Return how many excerpts cover a clip if each overlaps the next one by half; excerpt and clip in frames."""
    return 1 if excerpt >= frames else 1 + -(-(frames - excerpt) // max(1, excerpt // 2))


def excerpts(features: Tensor, excerpt: int, n_excerpts: int) -> list[Tensor]:
    """Cut features (batch, frames, dims) into ``n_excerpts`` evenly spaced parts of ``excerpt`` frames each."""
    places = starts(features.shape[1], excerpt, n_excerpts)
    return [features[:, start : start + excerpt] for start in places]


def probabilities(model: nn.Module, features: Tensor, excerpt: int, n_excerpts: int, exclusive: bool = False) -> Tensor:
    """Return the mean probability of every tag over the ``excerpts`` of each clip.

    features: (batch, frames, dims) -> (batch, tags) in [0, 1], float64. exclusive: the outputs are classes of which a
    clip has one (softmax).
    """
    parts = excerpts(features, excerpt, n_excerpts)
    if features.device.type == "cpu":
        logits = torch.stack([model(part).double() for part in parts])
    else:  # many small steps would leave a GPU idle
        logits = model(torch.cat(parts)).double().unflatten(0, (len(parts), -1))
    return (logits.softmax(dim=-1) if exclusive else torch.sigmoid(logits)).mean(dim=0)


@torch.no_grad()
def score(
    model: nn.Module,
    features: Features,
    excerpt: int | None = None,
    n_excerpts: int | None = None,
    batch: int = BATCH,
    exclusive: bool = False,
    label: str = "",
) -> NDArray[np.float64]:
    """Return the probabilities (clips, tags) of standardised features (clips, frames, dims), in batches of clips.

    excerpt: frames that the network sees at one time (default: the clip). n_excerpts: how many of them are averaged
    (default: as many as overlap by half). exclusive: as for ``probabilities``. label: of a progress bar, if there shall
    be one. The device is the model's own.
    """
    where = devices.of(model)
    excerpt = features.shape[1] if excerpt is None else excerpt
    n_excerpts = count_excerpts(features.shape[1], excerpt) if n_excerpts is None else n_excerpts
    starts = range(0, len(features), batch)
    parts = [
        probabilities(model, features[start : start + batch].to(where), excerpt, n_excerpts, exclusive)
        for start in (progress.counted(starts, label, "batch") if label else starts)
    ]
    return torch.cat(parts).cpu().numpy()


@torch.no_grad()
def embed(model: nn.Module, features: Tensor, excerpt: int, n_excerpts: int, batch: int = BATCH) -> NDArray[np.float32]:
    """Return the embeddings of clips: the input of the network's last linear layer, averaged over the ``excerpts``.

    features: (clips, frames, dims) -> (clips, width). Raises ValueError if the network runs no linear layer.
    """
    parts, where = [], devices.of(model)
    for start in range(0, len(features), batch):
        cuts = excerpts(features[start : start + batch].to(where), excerpt, n_excerpts)
        parts.append(torch.stack([networks.embed(model, part).double() for part in cuts]).mean(dim=0))
    return torch.cat(parts).float().cpu().numpy()


def score_saved(saved: SavedModel, features: Features, batch: int | None = None) -> NDArray[np.float64]:
    """Return the probabilities (clips, tags) of standardised features (clips, frames, dims) by a saved model.

    The excerpts are those of its training, and the device is the one that trains. batch: how many clips are scored at
    one time.
    """
    heard = saved.training["excerpt_frames"], saved.training["excerpts"]
    size = BATCH if batch is None else batch
    network, label = saved.build().to(devices.device()), f"score {saved.experiment}"
    return score(network, features, *heard, size, saved.exclusive, label)


@dataclass(frozen=True)
class Scores:
    """The probabilities that an experiment gives to clips.

    clip_ids: (clips,). tags: their names. seeds: those that the network was trained from. values: (seeds, clips, tags).
    """

    clip_ids: tuple[str, ...]
    tags: tuple[str, ...]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]


def write_scores(path: Path, split: Split, scores: NDArray[np.float64], seeds: Sequence[int]) -> None:
    """Write a CSV with a row per seed and clip: clip_id, song, seed and a probability per tag; and a checksum.

    scores: (seeds, clips, tags).
    """
    rows = (
        [clip.clip_id, clip.song, seed, *(f"{value:.9g}" for value in row)]
        for seed, values in zip(seeds, scores.tolist(), strict=True)
        for clip, row in zip(split.clips, values, strict=True)
    )
    sealed_csv.write(path, [*_COLUMNS, *split.tags], rows)


def read_scores(path: Path) -> Scores:
    """Read what ``write_scores`` wrote.

    Raises EarmarkError if the file is missing or damaged, was made by an older version, holds a value that is not a
    finite number, or if its seeds have not all the same clips.
    """
    header, rows = sealed_csv.read(path, _COLUMNS[:2], f"run `dvc repro evaluate@{path.stem}`, or `dvc checkout` it")
    if header[:3] != list(_COLUMNS):
        raise _damaged(path, "it has no column seed: an older version made it")
    tags, start = tuple(header[3:]), len(_COLUMNS)
    of_seed: dict[int, tuple[list[str], list[NDArray[np.float64]]]] = {}
    for number, row in enumerate(rows, 2):
        seed, values = _numbers(path, number, row[2], row[start:])
        ids, found = of_seed.setdefault(seed, ([], []))
        ids.append(row[0])
        found.append(values)
    clips = tuple(next(iter(of_seed.values()), ([], []))[0])
    if not clips or not tags:
        raise _damaged(path, f"it holds {len(clips)} clips and {len(tags)} tags")
    if len(set(clips)) < len(clips) or len(set(tags)) < len(tags):
        raise _damaged(path, "a clip or a tag is in it twice")
    for seed, (ids, _) in of_seed.items():
        if tuple(ids) != clips:
            raise _damaged(path, f"seed {seed} has {len(ids)} clips, which are not the {len(clips)} of the first seed")
    return Scores(clips, tags, tuple(of_seed), np.array([found for _, found in of_seed.values()]))


def _numbers(path: Path, number: int, seed: str, values: Sequence[str]) -> tuple[int, NDArray[np.float64]]:
    """Return the seed and the scores of a row."""
    try:
        found = int(seed), np.array([float(value) for value in values])
    except ValueError as error:
        raise _damaged(path, f"row {number} holds no numbers, {error}") from None
    if not np.isfinite(found[1]).all():
        raise _damaged(path, f"row {number} holds a score that is not finite")
    return found


def _damaged(path: Path, why: str) -> EarmarkError:
    return EarmarkError(f"{path} cannot be used: {why}; run `dvc repro evaluate@{path.stem}`")
