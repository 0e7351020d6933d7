"""One audio file as a stream of mono blocks at one rate: all of it is heard, and little of it is held."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from earmark.decode.reader import RejectedError
from earmark.decode.reading import blocks, open_source

LOUDEST = 2.0**32  # full scale of integers that somebody has written as floating point numbers, with some room


class Stream:
    """Mono float32 blocks of a file at ``rate`` Hz: an iterator, to be gone through once.

    Memory is bounded by the size of a block, whatever the length of the file. source_rate (Hz), channels, format: of
    the file. ended: whether all of it has been gone through.

    Raises RejectedError if the file is no audio, and while it is gone through if a sample is not finite.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self.rate = rate
        self._source = open_source(path)
        self.source_rate, self.channels, self.format = self._source.rate, self._source.channels, self._source.format
        self.ended = False
        self._samples: Counter[int] = Counter()  # by the rate in Hz
        self._blocks = self._resampled()

    @property
    def seconds(self) -> float:
        """How much has been decoded so far."""
        return sum(samples / rate for rate, samples in self._samples.items())

    @property
    def incomplete(self) -> str:
        """What is lacking in what has been gone through so far, its end included if it was reached; or empty."""
        return self._source.incomplete(math.inf if self.ended else self.seconds)

    def incomplete_until(self, seconds: float) -> str:
        """Return what is lacking in so much of the beginning of the file, after it was gone through; or empty."""
        return self._source.incomplete(seconds)

    @property
    def lacking(self) -> str:
        """What is lacking in the whole file, as far as its bytes show before they are decoded; or empty."""
        return self._source.incomplete()

    @property
    def expected(self) -> float:
        """Seconds of the file as far as its bytes show before they are decoded; 0 if they do not."""
        return self._source.seconds

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self

    def __next__(self) -> NDArray[np.float32]:
        return next(self._blocks)

    def close(self) -> None:
        """Let go of the file; the last block does, too."""
        self._blocks.close()
        self._source.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _resampled(self) -> Generator[NDArray[np.float32], None, None]:
        resampler = Resampler(self.source_rate, self.rate)
        try:
            for source_rate, block in blocks(self._source):
                _require_music(block)
                self._samples[source_rate] += len(block)
                if source_rate != resampler.source_rate:
                    yield resampler.end()
                    resampler = Resampler(source_rate, self.rate)
                yield resampler.of(mono(block))
            self.ended = True
            yield resampler.end()
        finally:
            self._source.close()


def _require_music(block: NDArray[np.float32]) -> None:
    """Raise RejectedError for samples that are not finite, or would not be once they are resampled and squared."""
    if not (block.max(initial=0) <= LOUDEST and block.min(initial=0) >= -LOUDEST):
        if not np.isfinite(block).all():
            raise RejectedError("samples that are not finite")
        raise RejectedError(f"samples of {np.abs(block).max():.2g}, where full scale is 1 and {LOUDEST:.2g} the limit")


class Resampler:
    """From one rate to another, block by block: bit for bit what ``soxr.resample`` makes of all blocks at once."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self.source_rate = source_rate
        self._inner = None if source_rate == rate else soxr.ResampleStream(source_rate, rate, 1)

    def of(self, wave: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Return what can be told after these samples; last: there are no more."""
        return wave if self._inner is None else self._inner.resample_chunk(wave, last=last)

    def end(self) -> NDArray[np.float32]:
        """Return what is left when there are no more samples."""
        return self.of(np.zeros(0, np.float32), last=True)


def mono(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average channels: (frames, channels) -> (frames,)."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def stream(path: Path, rate: int) -> Stream:
    """Open a file as mono blocks at ``rate`` Hz. Raises RejectedError if it is absent, empty or not audio."""
    return Stream(path, rate)
