"""libsndfile as a decoder, and what becomes of a file that nothing can decode."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

BLOCK = 1 << 18  # samples of all channels together: what is read at a time
LONGEST = 3600  # s that may be lost at once
_DISK_FAILS = {errno.EIO, errno.ESTALE, errno.ENXIO, errno.ETIMEDOUT}

Block = tuple[int, NDArray[np.float32]]  # Hz, (samples, channels)


class RejectedError(Exception):
    """A clip that cannot be used; the text is the reason that stands in the reject list."""


class DiskError(RejectedError):
    """The disk failed while a file was read. The next time it may not: nothing may be kept that says so."""


def unreadable(error: OSError) -> RejectedError:
    """Return that a file cannot be read, and why."""
    kind = DiskError if error.errno in _DISK_FAILS else RejectedError
    return kind(f"not readable: {error.strerror or error}")


class Reader(soundfile.SoundFile):  # type: ignore[misc]  # soundfile declares no types
    """A sound file that is read from its beginning to its end.

    It never seeks, which soundfile does after every read: in an MP3 that spoils the samples that follow, after a short
    read of a damaged file it repeats some, and a FLAC from a pipe, whose length nobody knows, cannot do it.

    A file that is given by its number stays open.
    """

    def __init__(self, file: object, **how: object) -> None:
        super().__init__(file, closefd=False, **how)

    def seekable(self) -> bool:
        """Return False, whatever the file can do."""
        return False

    def blocks_until_the_end(self) -> Iterator[NDArray[np.float32]]:
        """Yield all samples, (samples, channels), as many as come: a header may announce more.

        Raises LibsndfileError where a file is damaged, after the samples in front of that.
        """
        shape = (max(1, BLOCK // self.channels), self.channels)
        while True:
            block = np.full(shape, np.nan, np.float32)  # by which it is known how far a read came that failed
            try:
                if not len(block := self.read(out=block)):
                    return
            except soundfile.LibsndfileError:
                lacking = np.isnan(block[:, 0])
                yield block[: int(lacking.argmax()) if lacking.any() else len(block)]
                raise
            yield block


def silence(rate: int, samples: int, channels: int) -> Iterator[Block]:
    """Yield zeros, a second at a time. Raises RejectedError for more than LONGEST seconds."""
    if samples > LONGEST * rate:
        raise RejectedError(f"its parts contradict each other: {samples / rate:.0f} s are lacking between two of them")
    for start in range(0, samples, rate):
        yield rate, np.zeros((min(rate, samples - start), channels), np.float32)
