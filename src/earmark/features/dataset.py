"""One split of a corpus for training and measuring, and its batches.

Its features are a tensor in memory, or on a GPU, or ``StoredRows`` that are read when a batch asks for them
(``placing``); the batches are the same to the last bit. There are no worker processes that read ahead: to copy a batch
between processes costs more than to read it. One thread reads the next batch from disk while a step learns the current
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from earmark.config import RepresentationConfig, WaveformConfig
from earmark.corpus.label_table import Labelled, read_labels
from earmark.features import placing, rows
from earmark.features.placing import Features
from earmark.features.rows import StoredRows
from earmark.features.standardize import Standardizer
from earmark.sections import in_one_line
from earmark.storage import shards


@dataclass(frozen=True)
class Split:
    """One split: standardised features (rows, frames, dims), targets (rows, tags) in {0, 1}, and the clip of each row.

    A row is a clip, or a segment of a clip. missing: how many labelled clips have no features, because decoding
    rejected them. mark: a hash of the features, if their shards have told one.
    """

    features: Features
    targets: Tensor
    clips: tuple[Labelled, ...]
    tags: tuple[str, ...]
    missing: int
    mark: str | None = None

    def by_clip(self, scores: NDArray[np.float64]) -> tuple[Split, NDArray[np.float64]]:
        """Return the split with one row per clip, and the mean scores of each clip; a row has no features then.

        scores: (rows, tags) -> (clips, tags).
        """
        numbers = {clip: number for number, clip in enumerate(dict.fromkeys(c.clip_id for c in self.clips))}
        clip_of = np.array([numbers[c.clip_id] for c in self.clips], np.int64)
        counts = np.bincount(clip_of)
        if len(counts) == len(clip_of):
            return self, scores
        means = np.zeros((len(counts), scores.shape[1]))
        np.add.at(means, clip_of, scores)
        first = np.unique(clip_of, return_index=True)[1]
        clips = tuple(self.clips[i] for i in first)
        whole = replace(self, features=self.features[:0], targets=self.targets[first], clips=clips, mark=None)
        return whole, means / counts[:, None]


@dataclass(frozen=True)
class Origin:
    """What shards of features say about themselves: representation, decoding of the waveforms, digest of their code."""

    representation: RepresentationConfig
    waveform: WaveformConfig
    code: str


def origin(features: Path) -> Origin:
    """Return the origin of the shards of a folder.

    Raises ShardError if there is no shard, if one has another origin than the first, or if it does not state one.
    """
    found = None
    for file in shards.open_all(features):
        if found is None:
            if missing := {"config", "waveform_config", "code"} - set(file.attrs):
                raise shards.ShardError(
                    f"{file.filename} does not say its {', '.join(sorted(missing))}: it was made by an older version; "
                    "run the features stage again"
                )
            found = _origin_of(file)
    assert found is not None  # open_all raises for an empty folder
    return found


def _origin_of(file: h5py.File) -> Origin:
    """Return the origin of an open shard. Raises ShardError if today's code does not accept its settings."""
    try:
        representation = RepresentationConfig.model_validate(shards.attribute(file, "config"))
        waveform = WaveformConfig.from_stored(shards.attribute(file, "waveform_config"))
    except ValidationError as error:
        raise shards.ShardError(
            f"{file.filename} was made with settings that are unknown here ({in_one_line(error)}); run the features "
            "stage again"
        ) from None
    return Origin(representation, waveform, str(file.attrs["code"]))


def load(features: Path, labels: Path, standardizer: Path, split: str, place: placing.Place | None = None) -> Split:
    """Load one split of ``labels``, whose order the rows have, and standardise it.

    features: a folder of shards. labels, standardizer: files. split: train, valid or test. place: where its features
    are held; None chooses by what is free (``placing.choose``).

    Raises ShardError if no clip of the split has features.
    """
    return load_splits(features, labels, standardizer, (split,), place)[0]


def load_splits(
    features: Path, labels: Path, standardizer: Path, splits: Sequence[str], place: placing.Place | None = None,
    told: str | None = None, processes: int = 1,
) -> list[Split]:  # fmt: skip
    """Load several splits, held in the same place, as ``load`` does.

    told: the stage that prints a line about the place, if any. processes: how many on this machine do the same.
    """
    clips, table = read_labels(labels)
    fitted = Standardizer.load(standardizer)
    members = {split: [row for row, clip in enumerate(clips) if clip.split == split] for split in splits}
    wanted = [row for rows in members.values() for row in rows]
    found, stored = rows.find(features, [clips[row].clip_id for row in wanted], fitted)
    here = np.array([wanted[i] for i in found], np.int64)
    loaded = []
    where = placing.choose(stored, told, processes) if place is None else place
    for split, all_of_it in members.items():
        chosen = np.flatnonzero(np.isin(here, all_of_it))
        if not len(chosen):
            raise shards.ShardError(f"{features}: none of the {len(all_of_it)} clips of the {split} split has features")
        own = stored.take(chosen)
        loaded.append(
            Split(
                features=placing.held(own, where),
                targets=torch.from_numpy(table.values[here[chosen]].astype(np.float32)),
                clips=tuple(clips[row] for row in here[chosen]),
                tags=table.tags,
                missing=len(all_of_it) - len(set(here[chosen])),
                mark=own.mark,
            )
        )
    return loaded


def read_features(
    folder: Path, clip_ids: Sequence[str], standardizer: Standardizer | None = None
) -> tuple[list[int], NDArray[np.float32]]:
    """Return the ascending positions in ``clip_ids`` of the clips that have features, and the features in that order.

    The features are (rows, frames, dims), standardised if a ``standardizer`` is given. If a clip was cut into segments,
    each has a row, and the position of the clip occurs as often.
    """
    found, stored = rows.find(folder, clip_ids, standardizer)
    return found, stored[:].numpy()


class Batches:
    """A split in batches: item k is the k-th batch of the current epoch, (features, targets).

    size: clips in a batch. seed: shuffles them; without one the order is that of the split. Only seed and epoch decide
    about the order, so that a resumed run sees the batches that the killed one would have seen.

    frames: how many of a clip's frames a batch shows (default: all), from a place that is drawn for every batch. An
    epoch then passes so often over the clips that it shows as many frames as with whole clips. n_places: show each clip
    from so many evenly spaced places instead, once each in an epoch. share: returns which rows of every batch are
    taken, such as every second one; the others are not read.
    """

    def __init__(
        self,
        split: Split,
        size: int,
        seed: int | None = None,
        frames: int | None = None,
        n_places: int | None = None,
        share: Callable[[], slice] | None = None,
    ) -> None:
        self.split, self.size, self.seed, self.share = split, size, seed, share
        whole = split.features.shape[1]
        self.frames = whole if frames is None else frames
        self.places = None if n_places is None else torch.tensor(starts(whole, self.frames, n_places))
        self.passes = 1 if seed is None else n_places or max(1, round(whole / self.frames))
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Draw the order and the excerpts of an epoch."""
        clips = len(self.split.targets)
        # Batches of nearly equal size: in a last batch of a single clip, batch norm would have no deviation.
        per_pass = -(-clips // self.size)
        generator = torch.Generator().manual_seed((self.seed or 0) * 1_000_003 + epoch)
        if self.places is not None and self.seed is not None:
            order = torch.randperm(clips * len(self.places), generator=generator)
            self._rows = list((order % clips).tensor_split(-(-len(order) // self.size)))
            self._starts = list(self.places[order // clips].tensor_split(len(self._rows)))
            return
        self._rows = []
        for _ in range(self.passes):
            order = torch.arange(clips) if self.seed is None else torch.randperm(clips, generator=generator)
            self._rows += order.tensor_split(per_pass)
        last = self.split.features.shape[1] - self.frames
        drawn = torch.zeros(len(self._rows), dtype=torch.int64)
        if self.seed is not None:
            drawn = torch.randint(0, last + 1, (len(self._rows),), generator=generator)
        self._starts = list(drawn)

    def __len__(self) -> int:
        return len(self._rows)

    def clips(self, index: int) -> int:
        """Return how many clips the batch has, with those that ``share`` leaves out."""
        return len(self._rows[index])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rows, start = self._rows[index], self._starts[index]
        if self.share is not None:
            mine = self.share()
            rows, start = rows[mine], start[mine] if start.dim() else start
        return excerpts(self.split.features, rows, start, self.frames), self.split.targets[rows]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not isinstance(self.split.features, StoredRows):
            yield from (self[i] for i in range(len(self)))
            return
        with ThreadPoolExecutor(1, "read ahead") as reader:
            ahead = reader.submit(self.__getitem__, 0)
            for following in range(1, len(self) + 1):
                batch = ahead.result()
                if following < len(self):
                    ahead = reader.submit(self.__getitem__, following)
                yield batch


def excerpts(features: Features, rows: Tensor, start: Tensor, frames: int) -> Tensor:
    """Return ``frames`` frames of some rows, from one start for all of them, or from one each (len(rows),)."""
    if not isinstance(features, Tensor):
        return features.excerpts(rows.numpy(), start.expand(len(rows)).numpy(), frames)
    if start.dim() == 0:
        return features[rows, int(start) : int(start) + frames]
    return features[rows.unsqueeze(1), start.unsqueeze(1) + torch.arange(frames)]


def starts(frames: int, excerpt: int, n_excerpts: int) -> list[int]:
    """Return where ``n_excerpts`` evenly spaced excerpts of a clip begin, in frames.

    >>> starts(frames=100, excerpt=40, n_excerpts=3)
    [0, 30, 60]
    """
    last = frames - excerpt
    return [round(last * i / max(1, n_excerpts - 1)) for i in range(n_excerpts)]
