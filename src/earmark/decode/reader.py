"""libsndfile as a decoder, and what becomes of a file that nothing can decode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

BLOCK = 1 << 18  # samples of all channels together: what is read at a time

Block = tuple[int, NDArray[np.float32]]  # Hz, (samples, channels)


class RejectedError(Exception):
    """A clip that cannot be used; the text is the reason that stands in the reject list."""


class Reader(soundfile.SoundFile):  # type: ignore[misc]  # soundfile declares no types
    """A sound file that is read from its beginning to its end.

    It never seeks, which soundfile does after every read: in an MP3 that spoils the samples that follow, after a short
    read of a damaged file it repeats some, and a FLAC from a pipe, whose length nobody knows, cannot do it.
    """

    def seekable(self) -> bool:
        """Return False, whatever the file can do."""
        return False

    def blocks_until_the_end(self) -> Iterator[NDArray[np.float32]]:
        """Yield all samples, (samples, channels), as many as come: a header may announce more."""
        samples = max(1, BLOCK // self.channels)
        while len(block := self.read(samples, dtype="float32", always_2d=True)):
            yield block
