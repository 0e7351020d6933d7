"""HDF5's global heaps, where texts of any length lie: a wrong size in one makes HDF5 go round in it for good.

What HDF5 takes for a heap begins with a sign. So each place of a file that has the sign is walked here as HDF5 would
walk it, before HDF5 sees the file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from earmark.storage.checksums import DamageError

_SIGN = b"GCOL\1"
_HEAD = struct.Struct("<8xQ")  # sign and version; bytes of the whole heap
_OBJECT = struct.Struct("<HH4xQ")  # number, 0 for what is free; references; bytes of its content
_MOST = 1 << 16  # objects of a heap: their numbers have 16 bits
_PIECE = 1 << 20


def require_finite(path: Path, rows: range = range(0)) -> None:
    """Raise DamageError if a heap of a file has no end, or lies over bytes that are no heap's.

    rows: the bytes that HDF5 will not be shown, in which no heap is looked for; none may reach into them.
    """
    size, end = path.stat().st_size, 0
    with path.open("rb") as file:
        for part in (range(rows.start), range(rows.stop, size)) if rows else (range(size),):
            for start in _signs(file.fileno(), part):
                stop = start + _walk(file.fileno(), start, size)
                if start < end or stop > part.stop:
                    raise DamageError(f"its texts at byte {start} lie over other bytes of it")
                end = max(end, stop)


def _signs(file: int, part: range) -> Iterator[int]:
    """Yield where the sign of a heap stands in a part of a file."""
    for place in range(part.start, part.stop, _PIECE):
        piece = os.pread(file, min(_PIECE + len(_SIGN) - 1, part.stop - place), place)
        found = piece.find(_SIGN)
        while found >= 0:
            yield place + found
            found = piece.find(_SIGN, found + 1)


def _walk(file: int, start: int, size: int) -> int:
    """Return how many bytes a heap has, 0 if HDF5 will not take it for one. Raises DamageError if it has no end."""
    head = os.pread(file, _HEAD.size, start)
    whole = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
    if not _HEAD.size <= whole <= size - start:
        return 0
    place = start + _HEAD.size
    for _ in range(_MOST):
        left = start + whole - place
        if left < _OBJECT.size:  # too little for an object
            return int(whole)
        number, _, content = _OBJECT.unpack(os.pread(file, _OBJECT.size, place))
        step = _OBJECT.size + -(-content // 8) * 8 if number else content
        if not 0 < step <= left:
            break
        place += step
    raise DamageError(f"its texts at byte {start} have an impossible size, over which HDF5 would not end")
