"""Features that lie on a device as their shards store them, and are decoded and standardised batch by batch there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.features.rows import Index, StoredRows


@dataclass(frozen=True, eq=False)
class Resident:
    """Rows (rows, frames, dims) of half-precision shards on a device; what is asked of it are standardised float32.

    stored: (rows, frames, dims) float16. of_shard: (rows,). scale, centre: (shards, dims), by which a shard's rows
    become what they were. mean, inverse_std: (dims,) of the standardizer.
    """

    stored: Tensor
    of_shard: Tensor
    scale: Tensor
    centre: Tensor
    mean: Tensor
    inverse_std: Tensor

    @staticmethod
    def bytes_of(rows: StoredRows) -> int:
        """Return the bytes that rows take on a device."""
        return rows.shape.numel() * (2 if _are_halves(rows) else 4)

    @classmethod
    def of(cls, rows: StoredRows, device: torch.device) -> Resident | Tensor:
        """Bring rows to a device: halves as they are, others as float32 that are standardised already."""
        if not _are_halves(rows):
            return _brought(rows, device, torch.float32)
        assert rows.standardizer is not None
        halves = [one.half for one in rows.stored if one.half is not None]
        fitted = rows.standardizer
        return cls(
            _brought(rows.raw(), device, torch.float16),
            torch.from_numpy(rows.of_shard).to(device),
            torch.from_numpy(np.stack([half.scale for half in halves])).to(device),
            torch.from_numpy(np.stack([half.centre for half in halves])).to(device),
            torch.from_numpy(fitted.mean).to(device),
            torch.from_numpy(fitted.inverse_std).to(device),
        )

    @property
    def shape(self) -> torch.Size:
        """(rows, frames, dims)."""
        return self.stored.shape

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Index | tuple[Index, slice]) -> Tensor:
        rows, frames = index if isinstance(index, tuple) else (index, slice(None))
        chosen = torch.arange(len(self))[rows]
        return self._decoded(chosen, self.stored[chosen.to(self.stored.device)][:, frames])

    def excerpts(self, rows: NDArray[np.int64], starts: NDArray[np.int64], frames: int) -> Tensor:
        """Return ``frames`` frames of each of some rows, from a start of its own: (len(rows), frames, dims)."""
        chosen = torch.from_numpy(rows)
        places = torch.from_numpy(starts.copy()).unsqueeze(1) + torch.arange(frames)
        where = self.stored.device
        return self._decoded(chosen, self.stored[chosen.unsqueeze(1).to(where), places.to(where)])

    def _decoded(self, rows: Tensor, stored: Tensor) -> Tensor:
        of_shard = self.of_shard[rows.to(self.of_shard.device)]
        values = stored.float() * self.scale[of_shard].unsqueeze(1) + self.centre[of_shard].unsqueeze(1)
        return (values - self.mean) * self.inverse_std


def _are_halves(rows: StoredRows) -> bool:
    return rows.standardizer is not None and all(one.half is not None for one in rows.stored)


def _brought(rows: StoredRows, device: torch.device, dtype: torch.dtype, piece: int = 256) -> Tensor:
    """Return all rows on a device, brought there a few at a time."""
    found = torch.empty(rows.shape, dtype=dtype, device=device)
    for start in range(0, len(rows), piece):
        found[start : start + piece] = rows[start : start + piece].to(dtype)
    return found
