"""Where the features of a training are held: in memory, on disk until a batch asks for them, or on the GPU."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from earmark import progress
from earmark.environment import size_of
from earmark.features.resident import Resident
from earmark.features.rows import StoredRows
from earmark.storage import memory

Place = Literal["memory", "disk"]
Features = Tensor | StoredRows | Resident
VARIABLE = "EARMARK_MEMORY"
SHARE = 0.6  # of what is free: a network and its batches need memory, too
SHARE_OF_GPU = 0.5


def choose(rows: StoredRows, told: str | None = None, processes: int = 1) -> Place:
    """Return where to hold features: in memory if all of them fit, for each of the processes of this machine.

    The limit is EARMARK_MEMORY, or SHARE of what is free. told: the stage that prints a line about it, if any.

    Raises EarmarkError if EARMARK_MEMORY is no size.
    """
    allowed = size_of(VARIABLE)
    limit = int(SHARE * memory.available()) if allowed is None else allowed
    needed = rows.nbytes * processes
    place: Place = "memory" if needed <= limit else "disk"
    if told is not None:
        why = VARIABLE if allowed is not None else f"{SHARE:.0%} of what is free"
        verb = "held in memory" if place == "memory" else "read from disk, batch by batch"
        progress.say(told, f"{len(rows)} rows of features, {_gb(needed)}, are {verb} ({why} is {_gb(limit)})")
    return place


def held(rows: StoredRows, place: Place) -> Features:
    """Return features as they are held in a place; in memory it is one array, and nothing is copied."""
    return rows[:] if place == "memory" else rows


def resident(features: Features, device: torch.device, free: int) -> Features:
    """Return features that lie on a device with ``free`` bytes, if they fit there, else as they are."""
    if device.type == "cpu" or isinstance(features, Resident):
        return features
    if isinstance(features, StoredRows):
        needed = Resident.bytes_of(features)
        return Resident.of(features, device) if needed <= SHARE_OF_GPU * free else features
    return features.to(device) if features.nbytes <= SHARE_OF_GPU * free else features


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
