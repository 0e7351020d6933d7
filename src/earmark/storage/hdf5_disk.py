"""HDF5 files whose disk may fail: HDF5 never sees it, for it may crash on it, and whoever writes is told why."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from earmark.errors import hdf5_refusal, naming


def reserve(path: Path, size: int) -> None:
    """Give a file so many bytes on the disk, where the system can. Raises OSError if it has not so many."""
    with path.open("ab") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            # some file systems cannot reserve: then it is found out by writing


class ReadFile(h5py.File):  # type: ignore[misc]  # h5py declares no types
    """A file of HDF5 that is read in a ``with`` block; raises OSError with its name if the disk fails there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r")
        self._path = path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        super().__exit__(kind, error, trace)
        if failed := hdf5_refusal(error, self._path):
            raise failed from None


class Veiled(io.FileIO):
    """A file for HDF5 to read, in which it sees zeros in place of some bytes."""

    def __init__(self, path: Path, veiled: range) -> None:
        super().__init__(path)
        self._path, self._veiled = path, veiled

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is. Raises OSError with the file's name if the disk fails."""
        start = self.tell()
        with naming(self._path):
            done = super().readinto(buffer)
        if hidden := range(max(start, self._veiled.start), min(start + done, self._veiled.stop)):
            memoryview(buffer).cast("B")[hidden.start - start : hidden.stop - start] = bytes(len(hidden))
        return done


class Disk:
    """A file for HDF5 to write to, which takes everything; the first error of the system is raised by ``check``.

    HDF5 that cannot write what it holds crashes while it closes a file, or when Python ends.
    """

    def __init__(self, path: Path, new: bool) -> None:
        self._error: OSError | None = None
        self._place, self._descriptor = 0, -1
        self._descriptor = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_TRUNC if new else 0), 0o666)

    def __del__(self) -> None:
        self.close()

    def check(self) -> None:
        """Raise OSError if anything was refused so far."""
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, as files do."""
        self._place = place if whence == os.SEEK_SET else os.fstat(self._descriptor).st_size + place
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def write(self, data: Any) -> int:
        """Write all of it, unless something was refused before."""
        left = memoryview(data).cast("B")
        size = len(left)
        with self._noting():
            while len(left) and self._error is None:
                done = os.pwrite(self._descriptor, left, self._place)
                left, self._place = left[done:], self._place + done
        return size

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is."""
        done = os.preadv(self._descriptor, [buffer], self._place)
        self._place += done
        return done

    def read(self, size: int) -> bytes:
        """Read so many bytes, as far as they are there."""
        found = os.pread(self._descriptor, size, self._place)
        self._place += len(found)
        return found

    def truncate(self, size: int) -> int:
        """Give the file its length."""
        with self._noting():
            os.ftruncate(self._descriptor, size)
        return size

    def flush(self) -> None:
        """Do nothing: what is written is with the system."""

    def close(self) -> None:
        """Close it; what the system notices only now is noted, too."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with self._noting():
                os.close(descriptor)


@contextlib.contextmanager
def written(path: Path) -> Iterator[h5py.File]:
    """Give a new file of HDF5, which is closed at the end; raises OSError if not all could be written."""
    disk = Disk(path, new=True)
    try:
        with h5py.File(disk, "w") as file:
            yield file
    finally:
        disk.close()
    disk.check()
