"""What makes a damaged shard known: a seal in front of the file, and a CRC of every block of rows inside it.

HDF5 leaves the first bytes of a file, its user block, to whoever writes it. There the seal lies: where in the file the
rows are, and SHA-256 of all the other bytes (ids, axes, attributes, HDF5's own tables). Among these are the CRC-32s of
the rows, a block at a time. So every byte is covered, nothing of a damaged file is given to HDF5, which may crash on
it, and a reader of some blocks need check no more than these.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from earmark.errors import naming
from earmark.storage.hdf5_disk import ReadFile

SEAL = 512  # bytes, the smallest user block that HDF5 knows
BLOCK = 64  # rows
_FORMAT = "earmark shard 2"  # 1 had no seal
_PIECE = 1 << 20


class DamageError(Exception):
    """A file whose content is not what was written; the text says what shows it."""


class RowSums:
    """CRC-32 of every BLOCK rows of what is written, in order, however many come at a time."""

    def __init__(self) -> None:
        self._done: list[int] = []
        self._rows, self._running = 0, 0

    def add(self, rows: NDArray[Any]) -> None:
        """Take the next rows, as they are stored."""
        rows = np.ascontiguousarray(rows)
        start = 0
        while start < len(rows):
            size = min(BLOCK - self._rows, len(rows) - start)
            self._running = zlib.crc32(rows[start : start + size].data.cast("B") if rows.size else b"", self._running)
            start, self._rows = start + size, self._rows + size
            if self._rows == BLOCK:
                self._close()

    def _close(self) -> None:
        self._done.append(self._running)
        self._rows, self._running = 0, 0

    def values(self) -> NDArray[np.uint32]:
        """(blocks,), the last one of what is left."""
        return np.array([*self._done, *([self._running] if self._rows else [])], np.uint32)


@dataclass(frozen=True)
class Seal:
    """Where the rows of a file lie, and SHA-256 of all else but the seal itself; offset, size and row are bytes."""

    offset: int
    size: int
    row: int
    sha256: str

    def encode(self) -> bytes:
        """Return the SEAL bytes at the beginning of the file."""
        return f"{_FORMAT}\n{json.dumps(asdict(self), sort_keys=True)}\n".encode().ljust(SEAL, b"\0")

    @classmethod
    def read(cls, file: BinaryIO) -> Seal:
        """Read what ``encode`` made. Raises DamageError for anything else."""
        raw = file.read(SEAL)
        if not raw.startswith(_FORMAT.encode() + b"\n"):
            raise DamageError("it is no shard of this version: it does not begin with its seal")
        try:
            found = cls(**json.loads(raw.split(b"\n")[1]))
        except (ValueError, TypeError, IndexError):
            raise DamageError("its seal is damaged") from None
        lengths = (found.offset, found.size, found.row)
        if found.encode() != raw or any(type(length) is not int or length < 0 for length in lengths):
            raise DamageError("its seal is damaged")
        if max(SEAL, found.offset) + found.size > (there := os.fstat(file.fileno()).st_size) or found.offset < SEAL:
            raise DamageError(f"its seal says {found.size} bytes of rows from {found.offset} on, and it has {there}")
        return found


def seal(path: Path, name: str) -> None:
    """Put the seal into a finished file, whose rows are the data set ``name``."""
    with ReadFile(path) as opened:
        data = opened[name]
        row = math.prod(data.shape[1:]) * data.dtype.itemsize
        size = len(data) * row
        offset = int(data.id.get_offset()) if size else SEAL
    with naming(path), path.open("r+b") as file:
        found = Seal(offset, size, row, _rest(file, offset, size))
        file.seek(0)
        file.write(found.encode())


def verify_rest(path: Path) -> Seal:
    """Check all of a file but its rows; raises DamageError, or OSError if it cannot be read."""
    with path.open("rb") as file:
        found = Seal.read(file)
        if _rest(file, found.offset, found.size) != found.sha256:
            raise DamageError("its ids, axes or attributes are not what was written")
    return found


def verify_rows(path: Path, found: Seal, sums: NDArray[np.uint32], fault: Callable[[int, bytes], str]) -> None:
    """Check the rows of a file against their CRC-32s, a block at a time. Raises DamageError, which names the rows.

    fault: returns what is wrong with some rows of which the first has this number, or nothing.
    """
    most = max(
        1, _PIECE // max(1, found.row)
    )  # what is in the processor's cache is looked at twice at the price of once
    with naming(path), path.open("rb") as file:
        file.seek(found.offset)
        left = found.size // max(1, found.row)
        for first, expected in zip(itertools.count(0, BLOCK), sums.tolist(), strict=False):
            there, sum_, wrong = min(left, BLOCK), 0, ""
            for row in range(first, first + there, most):
                rows = file.read(min(most, first + there - row) * found.row)
                sum_ = zlib.crc32(rows, sum_)
                wrong = wrong or fault(row, rows)
            left -= there
            if sum_ != expected:
                raise DamageError(f"rows {first} to {first + BLOCK - 1} are not what was written")
            if wrong:
                raise DamageError(wrong)
    if left:
        raise DamageError(f"{left} of its rows have no checksum")


def _rest(file: BinaryIO, offset: int, size: int) -> str:
    """SHA-256 of a file from the seal on, without ``size`` bytes at ``offset``."""
    summary = hashlib.sha256()
    for piece in (*_pieces(file, SEAL, offset), *_pieces(file, offset + size, None)):
        summary.update(piece)
    return summary.hexdigest()


def _pieces(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    file.seek(start)
    while piece := file.read(_PIECE if end is None else min(_PIECE, end - file.tell())):
        yield piece
