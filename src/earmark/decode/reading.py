"""The samples of one audio file at its own rate, in blocks, or a rejection with its reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

BLOCK = 1 << 18  # samples of all channels together: what is read at a time

Block = tuple[int, NDArray[np.float32]]  # Hz, (frames, channels)


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
        """Yield all samples, (frames, channels), as many as come: a header may announce more."""
        frames = max(1, BLOCK // self.channels)
        while len(block := self.read(frames, dtype="float32", always_2d=True)):
            yield block


class Source:
    """One audio file as it is decoded: its samples at its own rate.

    rate (Hz), channels, format: of its beginning. incomplete: after the last block, what is lacking, or empty.

    Raises RejectedError if the file is absent, empty or not audio.
    """

    incomplete: str = ""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise RejectedError("no such file")
        if path.stat().st_size == 0:
            raise RejectedError("empty file (0 bytes)")
        # By its number: libsndfile would look for a resource fork beside a file that it knows by name.
        number = os.open(path, os.O_RDONLY)
        try:
            self._file = Reader(number, closefd=False)
        except soundfile.LibsndfileError as error:
            os.close(number)
            raise RejectedError(f"not decodable: {error.error_string}") from None
        self._number = number
        self.rate, self.channels, self.format = int(self._file.samplerate), self._file.channels, self._file.format

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (frames, channels) in [-1, 1]."""
        try:
            for block in self._file.blocks_until_the_end():
                yield self.rate, block
        except soundfile.LibsndfileError as error:
            raise RejectedError(f"not decodable: {error.error_string}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
