"""What an audio file holds, and its beginning at several rates, in one pass over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.decode.audio import RejectedError, describe
from earmark.decode.stream import Resampler, mono


def inspected(path: Path, wanted: Mapping[int, int]) -> tuple[str, dict[int, NDArray[np.float32]]]:
    """Describe a file in a line, and return its beginning at each rate (Hz), mono, up to so many samples.

    Raises RejectedError if it is no audio, or if a sample is not finite.
    """
    beginnings = [_Beginning(rate, samples) for rate, samples in wanted.items()]
    blocks: list[int] = []

    def hear(source_rate: int, block: NDArray[np.float32]) -> None:
        if not np.isfinite(block).all():
            raise RejectedError("samples that are not finite")
        wave = mono(block)
        blocks.append(len(wave))
        for beginning in beginnings:
            beginning.add(source_rate, wave)

    about = describe(path, hear)
    if not blocks:
        raise RejectedError("no audio frames")
    return about, {beginning.rate: beginning.whole() for beginning in beginnings}


class _Beginning:
    """The first ``samples`` samples of a file at a rate in Hz."""

    def __init__(self, rate: int, samples: int) -> None:
        self.rate, self._lacking = rate, samples
        self._parts: list[NDArray[np.float32]] = []
        self._resampler: Resampler | None = None

    def add(self, source_rate: int, wave: NDArray[np.float32]) -> None:
        """Take in the next samples, (samples,), of the file."""
        if self._lacking == 0:
            return
        if self._resampler is None or self._resampler.source_rate != source_rate:
            self._end()
            self._resampler = Resampler(source_rate, self.rate)
        self._keep(self._resampler.of(wave))

    def whole(self) -> NDArray[np.float32]:
        """Return them, or fewer if the file is shorter."""
        self._end()
        return np.concatenate([np.zeros(0, np.float32), *self._parts])

    def _end(self) -> None:
        if self._resampler is not None:
            self._keep(self._resampler.end())

    def _keep(self, wave: NDArray[np.float32]) -> None:
        part = wave[: self._lacking]
        self._parts.append(part)
        self._lacking -= len(part)
