"""Rows of feature shards in an order of one's own, of which only those that are asked for are read.

A shard's rows lie contiguously in its file, so that a row, or some frames of it, is one ``pread`` at a known place: no
HDF5, no lock, and the system's page cache keeps what is read again and again. A mapping of the file would end the
process (SIGBUS) where the file becomes shorter; a read comes back short, and is told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.errors import reason
from earmark.features.standardize import Standardizer
from earmark.storage import provenance, shards
from earmark.storage.float16 import Float16

Index = slice | Tensor | NDArray[np.int64] | Sequence[int]


@dataclass(frozen=True)
class Stored:
    """Where the rows of one shard lie in its file, and how they are stored.

    state: of the file when its checksums were verified (``shards.state_of``). sums: the CRC-32s of its rows.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    state: tuple[int, int, int]
    half: Float16 | None
    sums: str


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Features (rows, frames, dims) on disk, which are read and standardised when they are asked for.

    ``rows[i:j]``, ``rows[numbers]`` and ``rows[numbers, first:last]`` are tensors. names: the clip of each row.
    of_shard, at: the shard of each row, and its place there.
    """

    stored: tuple[Stored, ...]
    names: tuple[str, ...]
    of_shard: NDArray[np.int64]
    at: NDArray[np.int64]
    frames: int
    dims: int
    standardizer: Standardizer | None

    @property
    def shape(self) -> torch.Size:
        """(rows, frames, dims)."""
        return torch.Size((len(self.at), self.frames, self.dims))

    @property
    def nbytes(self) -> int:
        """How many bytes all of it takes in memory, as float32."""
        return 4 * self.shape.numel()

    @cached_property
    def mark(self) -> str:
        """A hash of all values, without reading them: of the checksums of their shards, and of what is done to them."""
        fitted = self.standardizer
        return provenance.fingerprint(
            sums=[one.sums for one in self.stored],
            halves=[None if one.half is None else [one.half.centre.tolist(), one.half.scale.tolist()]
                    for one in self.stored],
            of_shard=self.of_shard.tolist(),
            at=self.at.tolist(),
            shape=list(self.shape),
            standardizer=None if fitted is None else [fitted.mean.tolist(), fitted.inverse_std.tolist()],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, index: Index | tuple[Index, slice]) -> Tensor:
        rows, frames = index if isinstance(index, tuple) else (index, slice(None))
        chosen = np.arange(len(self))[rows]
        first, last, _ = frames.indices(self.frames)
        return self.excerpts(chosen, np.full(len(chosen), first), last - first)

    def take(self, rows: NDArray[np.int64]) -> StoredRows:
        """Return these rows alone, still on disk."""
        names = tuple(self.names[row] for row in rows)
        return replace(self, names=names, of_shard=self.of_shard[rows], at=self.at[rows])

    def raw(self) -> StoredRows:
        """Return the same rows as their shards store them: neither decoded nor standardised."""
        return replace(self, stored=tuple(replace(one, half=None) for one in self.stored), standardizer=None)

    def excerpts(self, rows: NDArray[np.int64], starts: NDArray[np.int64], frames: int) -> Tensor:
        """Return ``frames`` frames of each of some rows, from a start of its own: (len(rows), frames, dims).

        Raises ShardError, which names shard and clip, if they cannot be read.
        """
        found = np.empty((len(rows), frames, self.dims), np.float32)
        order = np.lexsort((self.at[rows], self.of_shard[rows]))  # as they lie on the disk
        of_shard = self.of_shard[rows][order]
        for number in np.unique(of_shard):
            self._read(number, found, order[of_shard == number], rows, starts)
        if self.standardizer is not None:
            found -= self.standardizer.mean
            found *= self.standardizer.inverse_std
        return torch.from_numpy(found)

    def _read(
        self, number: int, found: NDArray[np.float32], places: NDArray[np.int64], rows: NDArray[np.int64],
        starts: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Read what one shard has into its places of ``found``."""
        shard = self.stored[number]
        frame = self.dims * shard.dtype.itemsize
        piece = np.empty(found.shape[1:], shard.dtype)
        clip = self.names[rows[places[0]]]
        try:
            with shard.path.open("rb", buffering=0) as file:
                if shards.state_of(os.fstat(file.fileno())) != shard.state:
                    raise shards.ShardError(f"{shard.path} was changed while its rows were being read: {_AGAIN}")
                for place in places:
                    row = rows[place]
                    clip = self.names[row]
                    where = shard.offset + (self.at[row] * self.frames + starts[place]) * frame
                    if shard.dtype == found.dtype:
                        _fill(file.fileno(), found[place], int(where))
                        continue
                    _fill(file.fileno(), piece, int(where))
                    found[place] = piece if shard.half is None else shard.half.decode(piece)
        except OSError as error:
            raise shards.ShardError(
                f"{shard.path}: clip {clip} cannot be read ({reason(error)}); is the disk still there? {_AGAIN}"
            ) from error


_AGAIN = "a second run goes on after the last full epoch, once its features are back (`dvc repro`)"


def _fill(descriptor: int, target: NDArray[Any], where: int) -> None:
    """Fill an array from a file. Raises OSError if the file ends before."""
    view, done = target.data.cast("B"), 0
    while done < len(view):
        read = os.preadv(descriptor, [view[done:]], where + done)
        if not read:
            raise OSError(f"the file ends {len(view) - done} bytes too early")
        done += read


def find(
    folder: Path, clip_ids: Sequence[str], standardizer: Standardizer | None = None
) -> tuple[list[int], StoredRows]:
    """Return the ascending positions in ``clip_ids`` of the clips that have features in a folder, and their rows.

    If a clip was cut into segments, each has a row, and the position of the clip occurs as often.

    Raises ShardError if there is no shard, if one is damaged, or if they are not of one make.
    """
    wanted = {clip: place for place, clip in enumerate(clip_ids)}
    stored: list[Stored] = []
    places: list[int] = []
    of_shard: list[int] = []
    at: list[int] = []
    seen: set[int] = set()
    shape: tuple[int, ...] = (0, 0)
    for file in shards.open_all(folder):
        here = [(i, wanted[c.decode()]) for i, c in enumerate(file["clip_id"][:]) if c.decode() in wanted]
        if not here:
            continue
        data, path = file["features"], Path(file.filename)
        if again := seen & {place for _, place in here}:
            raise shards.ShardError(
                f"{path}: clip {clip_ids[min(again)]} is in another shard, too; run the features stage again"
            )
        seen |= {place for _, place in here}
        shape = data.shape[1:]
        half = Float16(file["centre"][:], file["scale"][:]) if "centre" in file else None
        sums = file["crc32"][:].tobytes().hex()
        state = shards.state_of(path.stat())
        at += [row for row, _ in here]
        places += [place for _, place in here]
        of_shard += [len(stored)] * len(here)
        stored.append(Stored(path, int(data.id.get_offset()), data.dtype, state, half, sums))
    if standardizer is not None and at:
        standardizer.require_dims(shape[1], folder)
    order = np.argsort(places, kind="stable")  # segments stay in the order of time
    found = sorted(places)
    names = tuple(clip_ids[place] for place in found)
    as_read = np.array(of_shard, np.int64)[order], np.array(at, np.int64)[order]
    return found, StoredRows(tuple(stored), names, *as_read, shape[0], shape[1], standardizer)
