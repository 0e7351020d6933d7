"""The mean and inverse standard deviation of every dimension over the training split, in one pass over the shards."""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark import progress
from earmark.corpus.label_table import read_labels
from earmark.errors import EarmarkError
from earmark.files import read_json, write_json
from earmark.storage import provenance, shards


@dataclass(frozen=True)
class Standardizer:
    """What standardises features: (x - mean) * inverse_std, both (dims,), fitted on ``clips`` training clips.

    A dimension that is constant on the training split carries no information: its inverse_std is 0. One that the
    representation does not want standardised keeps its values: its mean is 0 and its inverse_std 1.
    """

    mean: NDArray[np.float32]
    inverse_std: NDArray[np.float32]
    clips: int

    def save(self, path: Path) -> None:
        """Write it as JSON, from which every float32 comes back exactly."""
        content = {"clips": self.clips, "mean": self.mean.tolist(), "inverse_std": self.inverse_std.tolist()}
        write_json(path, content | {"sha256": provenance.fingerprint(**content)})

    @classmethod
    def load(cls, path: Path) -> Standardizer:
        """Read what ``save`` wrote. Raises EarmarkError if the file is absent or something else."""
        content = read_json(path)
        if missing := {"mean", "inverse_std", "clips", "sha256"} - set(content):
            raise EarmarkError(f"{path} lacks {', '.join(sorted(missing))}; {_AGAIN}")
        if content.pop("sha256") != provenance.fingerprint(**content):
            raise EarmarkError(f"{path} is damaged: its checksum is not that of its content; {_AGAIN}")
        found = cls(_vector(path, content, "mean"), _vector(path, content, "inverse_std"), content["clips"])
        if found.mean.shape != found.inverse_std.shape or (found.inverse_std < 0).any():
            raise EarmarkError(
                f"{path}: inverse_std must be {len(found.mean)} values, one per mean, and none below 0, got "
                f"{len(found.inverse_std)}, the least {found.inverse_std.min(initial=0):g}; {_AGAIN}"
            )
        if type(found.clips) is not int or found.clips < 1:
            raise EarmarkError(f"{path}: clips must be a number above 0, got {found.clips!r}; {_AGAIN}")
        return found

    def require_dims(self, dims: int, features: Path) -> None:
        """Raise EarmarkError if it is not of features with so many dims."""
        if len(self.mean) != dims:
            raise EarmarkError(
                f"{features} has features of {dims} dims, but their mean and deviation have {len(self.mean)}; {_AGAIN}"
            )


_AGAIN = "run the standardize stage again"
_LARGEST = 1e30  # of a deviation's inverse; features that hardly vary count as constant long before


def _vector(path: Path, content: dict[str, Any], name: str) -> NDArray[np.float32]:
    """Return one of the two vectors of a file. Raises EarmarkError unless it is a list of finite numbers."""
    values = content[name]
    if not isinstance(values, list) or not values or any(type(value) not in (int, float) for value in values):
        raise EarmarkError(f"{path}: {name} must be a list of numbers, got {reprlib.repr(values)}; {_AGAIN}")
    if bad := [value for value in values if not abs(value) < _LARGEST]:
        raise EarmarkError(f"{path}: {name} must be below {_LARGEST:g}, got {reprlib.repr(bad[0])}; {_AGAIN}")
    return _float32(values)


def fit_training_split(features: Path, labels: Path, out: Path) -> None:
    """Run the stage: fit on the training split of ``labels``, and write the standardizer to the file ``out``."""
    watch = progress.Stopwatch()
    clips, _ = read_labels(labels)
    fitted = fit(features, {clip.clip_id for clip in clips if clip.split == "train"})
    fitted.save(out)
    watch.report(f"standardize {features.name}", fitted.clips, f"{len(fitted.mean)} dimensions")


def standardized_dims(features: Path) -> NDArray[np.bool_] | None:
    """Return which dims of a folder of shards are to be standardised, (dims,), or None for all of them.

    The representation says so in the axis ``standardized`` of its shards, if it has one. Raises ShardError if there is
    no shard, or if the axis is something else.
    """
    with shards.open_shard(shards.shard_files(features)[0]) as file:  # all have the same settings, and so the same axes
        return _standardized(file)


def _standardized(file: h5py.File) -> NDArray[np.bool_] | None:
    """Return the axis of an open shard. Raises ShardError if it is not one value of true or false per dim."""
    if "axes/standardized" not in file:
        return None
    found, dims = np.asarray(file["axes/standardized"]), file["features"].shape[-1]
    if found.shape != (dims,) or found.dtype != bool:
        raise shards.ShardError(
            f"{file.filename}: its axis `standardized` must be {dims} values of true or false, one per dim, got "
            f"{found.dtype} of shape {found.shape}; the representation sets it"
        )
    return found


def fit_array(features: NDArray[np.float32], standardized: NDArray[np.bool_] | None = None) -> Standardizer:
    """Return the standardizer of features in memory, (clips, frames, dims).

    standardized: (dims,), which dims it shall change; all of them if it is None.

    >>> fitted = fit_array(np.array([[[1, 5], [3, 5]]], np.float32))  # one clip of two frames
    >>> fitted.mean, fitted.inverse_std
    (array([2., 5.], dtype=float32), array([1., 0.], dtype=float32))
    """
    mean, std = features.mean(axis=(0, 1), dtype=np.float64), features.std(axis=(0, 1), dtype=np.float64)
    return _standardizer(mean, std, len(features), standardized)


def fit(features: Path, train_ids: Collection[str]) -> Standardizer:
    """Return the standardizer of a folder of shards, fitted on all frames of the clips ``train_ids``.

    It changes the dims that the shards want standardised: all, unless they have the axis ``standardized``.

    Mean and variance are updated batch by batch in float64 (Chan, Golub and LeVeque 1983), so that a large mean costs
    no accuracy.

    Raises ShardError if no training clip has features, or if that axis is something else.
    """
    count, clips, standardized = 0, 0, None
    mean: NDArray[np.float64] | float = 0.0
    squares: NDArray[np.float64] | float = 0.0
    wanted = set(train_ids)
    files = shards.shard_files(features)
    with progress.bar(len(files), f"standardize {features.name}", "shard") as bar:
        for file in shards.open_all(features):
            standardized = _standardized(file)
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
    return _standardizer(np.asarray(mean), std, clips, standardized)


def _standardizer(
    mean: NDArray[np.float64], std: NDArray[np.float64], clips: int, standardized: NDArray[np.bool_] | None
) -> Standardizer:
    """Return the standardizer of these moments, which leaves the other dims as they are."""
    inverse = _inverse(std, mean)
    if standardized is not None:
        mean, inverse = np.where(standardized, mean, 0.0), np.where(standardized, inverse, np.float32(1))
    return Standardizer(_float32(mean), inverse, clips)


def _inverse(std: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return one over the deviation, or 0 if a dimension is constant."""
    return _float32(np.divide(1.0, std, out=np.zeros_like(std), where=std > 1e-7 * (1 + np.abs(mean))))


def _float32(values: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)
