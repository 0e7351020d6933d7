"""The bytes of a file by their place, whatever its size: what is read stays small."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
from collections.abc import Sequence
from typing import BinaryIO

CHUNK = 1 << 20
COPIED = 64 << 20  # bytes of a file that is read into memory as a whole, where the system can give memory a number


def memory_file(name: str) -> int | None:
    """Return the number of a new file in memory, None where there is none: on macOS, or where a sandbox forbids it."""
    with contextlib.suppress(AttributeError, OSError):
        return os.memfd_create(name)
    return None


class FileBytes:
    """A file that is looked at here and there. size: its bytes.

    A disk that fails is an error, and not the end of the file, as libsndfile takes it for: either the file is copied
    into memory at once, or what fails is noted, and ``check`` tells. Raises OSError if the file cannot be copied.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._failed: OSError | None = None
        self._copy: mmap.mmap | bytes = b""
        self._number = -1
        self.size = file.seek(0, io.SEEK_END)
        if 0 < self.size <= COPIED and (number := memory_file("music")) is not None:
            self._number = number
            try:
                self._copy = self._copied()
            except BaseException:
                self.close()
                raise

    def _copied(self) -> mmap.mmap | bytes:
        """Return a copy of the file, which its number gives, too."""
        os.truncate(self._number, self.size)
        copy = mmap.mmap(self._number, self.size)
        self._file.seek(0)
        place = 0
        with memoryview(copy) as whole:
            while place < self.size and (found := self._file.readinto(whole[place:])):  # type: ignore[attr-defined]
                place += found
        if place == self.size:
            return copy
        copy.close()  # somebody has just cut it short
        os.truncate(self._number, place)
        self.size = place
        return mmap.mmap(self._number, place) if place else b""

    def at(self, place: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``place`` on: fewer at the end of the file, none beyond it."""
        if not 0 <= place < self.size or count <= 0:
            return b""
        if self._number >= 0:
            return self._copy[place : place + count]
        try:
            self._file.seek(place)
            return self._file.read(count)
        except OSError as error:
            self._failed = self._failed or error
            raise

    def whole(self) -> int | Spliced:
        """Return the file for one reader at a time, from its beginning: a number, which stays open, or a file.

        It has no name: libsndfile would look for a resource fork beside a file that has one.
        """
        if self._number < 0:
            return Spliced(self, [(0, self.size)])
        os.lseek(self._number, 0, os.SEEK_SET)
        return self._number

    def check(self) -> None:
        """Raise OSError if something could not be read, whoever asked for it."""
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        if isinstance(self._copy, mmap.mmap):
            self._copy.close()
        number, self._number, self._copy, self.size = self._number, -1, b"", 0
        if number >= 0:
            os.close(number)

    def find(self, wanted: bytes, place: int, within: int) -> int:
        """Return where ``wanted`` stands in the ``within`` bytes from ``place`` on; -1 if it does not."""
        found = self.at(place, within).find(wanted)
        return found if found < 0 else place + found

    def part(self, start: int, stop: int) -> FileBytes:
        """Return the bytes from ``start`` to ``stop`` as a file of their own, which fails and closes as this one."""
        return _Part(self, start, stop)


class _Part(FileBytes):
    """Some of the bytes of another file."""

    def __init__(self, data: FileBytes, start: int, stop: int) -> None:
        self._data, self._start = data, start
        self.size = stop - start

    def at(self, place: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``place`` on."""
        return self._data.at(self._start + place, min(count, self.size - place)) if place >= 0 else b""

    def whole(self) -> Spliced:
        """Return the bytes as a file, from its beginning."""
        return Spliced(self, [(0, self.size)])

    def check(self) -> None:
        """Raise OSError if something could not be read, whoever asked for it."""
        self._data.check()

    def close(self) -> None:
        """Let go of the file."""
        self._data.close()


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
                try:
                    found = self._data.at(piece[0] + inside, wanted)
                except OSError:  # is noted there: libsndfile only knows that a file ends
                    break
            if not found:
                break
            view[filled : filled + len(found)] = found
            filled += len(found)
            self._place += len(found)
        return filled
