"""Features in half the space: float16 of what a shard's own mean and deviation leave of them.

Log-magnitudes lie far from zero beside their spread, and float16 keeps eleven bits of whatever it is given: stored as
they are they would lose up to a hundredth of a deviation. Centred and scaled per dimension, the error of a value is
within 2^-11 of its distance from the shard's mean. The two vectors lie beside the rows, so a shard explains itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LIMIT = 1e-3  # of a standardised value, or of one deviation where it is smaller than that

Blocks = Callable[[], Iterable[NDArray[np.float32]]]


@dataclass(frozen=True)
class Float16:
    """How the rows of one shard are stored: (row - centre) / scale in float16; both are (dims,) float32."""

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    def encode(self, rows: NDArray[np.float32]) -> NDArray[np.float16]:
        """(clips, frames, dims) float32 -> float16."""
        return ((rows - self.centre) / self.scale).astype(np.float16)

    def decode(self, stored: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return what ``encode`` was given, to within LIMIT."""
        return stored.astype(np.float32) * self.scale + self.centre

    def error(self, rows: NDArray[np.float32]) -> float:
        """Return the largest error of a standardised value, relative to it or to one deviation, whichever is larger."""
        standardised = (rows.astype(np.float64) - self.centre) / self.scale
        back = (self.decode(self.encode(rows)).astype(np.float64) - self.centre) / self.scale
        return float((np.abs(back - standardised) / np.maximum(1, np.abs(standardised))).max(initial=0))


def fit(blocks: Blocks) -> Float16 | None:
    """Fit centre and scale to the rows that ``blocks`` yields anew at every call; None if float16 loses too much."""
    count, total, squares = 0, 0.0, 0.0
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # a deviation may be 0 in float32
        for block in blocks():
            count += block.shape[0] * block.shape[1]
            total = total + block.sum(axis=(0, 1), dtype=np.float64)
        centre = total / max(1, count)
        for block in blocks():
            squares = squares + np.square(block - centre).sum(axis=(0, 1))
        deviation = np.sqrt(squares / max(1, count))
        scale = np.where(deviation > 0, deviation, 1.0)
        half = Float16(np.asarray(centre, np.float32), np.asarray(scale, np.float32))
        worst = np.max([half.error(block) for block in blocks()])
    return half if worst <= LIMIT else None
