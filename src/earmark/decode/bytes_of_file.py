"""The bytes of a file by their place, whatever its size: what is read stays small."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

CHUNK = 1 << 20


class FileBytes:
    """A file that is looked at here and there. size: its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)

    def at(self, place: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``place`` on: fewer at the end of the file, none beyond it."""
        if not 0 <= place < self.size or count <= 0:
            return b""
        self._file.seek(place)
        return self._file.read(count)

    def find(self, wanted: bytes, place: int, within: int) -> int:
        """Return where ``wanted`` stands in the ``within`` bytes from ``place`` on; -1 if it does not."""
        found = self.at(place, within).find(wanted)
        return found if found < 0 else place + found


class Spliced(io.RawIOBase):
    """Pieces of a file, and bytes that stand between them, as one file. A piece is (start, stop), or bytes."""

    def __init__(self, data: FileBytes, pieces: Sequence[tuple[int, int] | bytes]) -> None:
        self._data, self._pieces, self._place = data, pieces, 0
        self._sizes = [len(one) if isinstance(one, bytes) else one[1] - one[0] for one in pieces]
        self._number, self._begin = 0, 0  # the piece in which the place is, and where it begins

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: sum(self._sizes)}[whence]
        self._place = max(0, base + offset)
        if self._place < self._begin:
            self._number, self._begin = 0, 0
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as there are bytes; return how many."""
        view, filled = memoryview(buffer), 0
        while filled < len(view) and self._number < len(self._pieces):
            inside = self._place - self._begin
            left = self._sizes[self._number] - inside
            if left <= 0:
                self._begin += self._sizes[self._number]
                self._number += 1
                continue
            piece, wanted = self._pieces[self._number], min(left, len(view) - filled)
            if isinstance(piece, bytes):
                found = piece[inside : inside + wanted]
            else:
                found = self._data.at(piece[0] + inside, wanted)
            if not found:
                break
            view[filled : filled + len(found)] = found
            filled += len(found)
            self._place += len(found)
        return filled
