"""Mean and inverse standard deviation of every dimension over the training split, in one streaming pass."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark import progress
from earmark.corpus.label_table import read_labels
from earmark.errors import EarmarkError
from earmark.files import read_json, write_json
from earmark.storage import shards


@dataclass(frozen=True)
class Standardizer:
    """(x - mean) * inverse_std, per dimension; ``clips`` is how many training clips it was fitted on.

    A dimension that is constant on the training split has inverse_std 0: it carries no information.
    """

    mean: NDArray[np.float32]
    inverse_std: NDArray[np.float32]
    clips: int

    def save(self, path: Path) -> None:
        """Write as JSON; float32 values survive the round trip exactly."""
        write_json(path, {"clips": self.clips, "mean": self.mean.tolist(), "inverse_std": self.inverse_std.tolist()})

    @classmethod
    def load(cls, path: Path) -> Standardizer:
        """Read what ``save`` wrote; EarmarkError where it is something else."""
        content = read_json(path)
        if missing := {"mean", "inverse_std", "clips"} - set(content):
            raise EarmarkError(f"{path} lacks {', '.join(sorted(missing))}; run the standardize stage again")
        return cls(_float32(content["mean"]), _float32(content["inverse_std"]), content["clips"])


def fit_training_split(features: Path, labels: Path, out: Path) -> None:
    """Do what the stage does: fit on the training split of ``labels``, and write the standardizer into ``out``."""
    watch = progress.Stopwatch()
    clips, _ = read_labels(labels)
    fitted = fit(features, {clip.clip_id for clip in clips if clip.split == "train"})
    fitted.save(out)
    watch.report(f"standardize {features.name}", fitted.clips, f"{len(fitted.mean)} dimensions")


def fit_array(features: NDArray[np.float32]) -> Standardizer:
    """Fit on features in memory, (clips, frames, dims)."""
    mean, std = features.mean(axis=(0, 1), dtype=np.float64), features.std(axis=(0, 1), dtype=np.float64)
    return Standardizer(_float32(mean), _inverse(std, mean), len(features))


def fit(features: Path, train_ids: Collection[str]) -> Standardizer:
    """Fit on the clips of ``features`` that are in ``train_ids``; frames and clips are pooled.

    Moments are merged batch by batch in float64 (Chan, Golub and LeVeque 1983), so that the order of magnitude of the
    mean costs no accuracy. Raises ShardError where no training clip is there.
    """
    count, clips = 0, 0
    mean: NDArray[np.float64] | float = 0.0
    squares: NDArray[np.float64] | float = 0.0
    wanted = set(train_ids)
    files = shards.shard_files(features)
    with progress.bar(len(files), f"standardize {features.name}", "shard") as bar:
        for file in shards.open_all(features):
            rows = [row for row, clip_id in enumerate(file["clip_id"][:]) if clip_id.decode() in wanted]
            for start in range(0, len(rows), 16):
                batch = shards.read_rows(file, rows[start : start + 16]).astype(np.float64)
                values = batch.reshape(-1, batch.shape[-1])
                new_mean = values.mean(axis=0)
                delta = new_mean - mean
                total = count + len(values)
                squares = squares + ((values - new_mean) ** 2).sum(axis=0) + delta**2 * (count * len(values) / total)
                mean = mean + delta * (len(values) / total)
                count, clips = total, clips + len(batch)
            bar.update()
    if not clips:
        raise shards.ShardError(f"{features}: none of the {len(wanted)} training clips has features")
    std = np.sqrt(np.asarray(squares) / count)
    return Standardizer(_float32(mean), _inverse(std, np.asarray(mean)), clips)


def _inverse(std: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """One over the deviation; 0 where a dimension is constant, which then says nothing."""
    return _float32(np.divide(1.0, std, out=np.zeros_like(std), where=std > 1e-7 * (1 + np.abs(mean))))


def _float32(values: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)
