"""From an audio file to the input of a network: decoded, cut, rounded, transformed and standardised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig, WaveformConfig
from earmark.decode import pool
from earmark.decode.audio import decode_blocks, from_stored, to_stored
from earmark.errors import EarmarkError
from earmark.features.segments import Blocks, Decoded, Wave, segments
from earmark.features.standardize import Standardizer
from earmark.representations.base import Representation

_TOGETHER = 8  # segments, or windows, that are transformed at one time: an album must not need all its memory at once
_TRANSFORMED = 4  # times so many that a network gets at one time


class Batch(NamedTuple):
    """A part of what a network gets of a file.

    features: (segments, frames, dims), standardised. starts: (segments,), the second at which each of them begins.
    """

    features: Tensor
    starts: NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What a network gets of a file: features (segments, frames, dims), standardised; seconds: of the whole file."""

    features: Tensor
    seconds: float


class Hearing:
    """What a network gets of one file, batch by batch, in bounded memory: an iterator, to be gone through once.

    seconds: of the file, as far as it has been heard. incomplete: in the end, what the file lacks, or empty.
    """

    incomplete: str = ""

    def __init__(self, listener: Listener, blocks: Decoded) -> None:
        self._blocks, self._rate, self._samples = blocks, listener.representation.rate, 0
        self._batches = listener.batches(self._counted)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return next(self._batches)

    @property
    def seconds(self) -> float:
        """How much of the file has been heard."""
        return self._samples / self._rate

    def _counted(self) -> Iterator[NDArray[np.float32]]:
        self._samples = 0
        for block in self._blocks():
            if isinstance(block, str):
                self.incomplete = block
            else:
                self._samples += len(block)
                yield block


class Listener:
    """The way from an audio file to the input of one network.

    It runs the functions of the pipeline. The pipeline also stores waveforms and features in shards; this changes
    nothing, unless the representation is stored as float16: then features differ by at most 0.001 standardised units.

    representation, waveform, standardizer: those of the model. window: the whole file is transformed, and cut into
    windows of so many frames, one after the other; frames that are left over at its end are not heard. Without it, the
    wave is cut, and each segment is transformed.

    Raises EarmarkError if today's code cannot build the representation.
    """

    def __init__(
        self,
        representation: RepresentationConfig,
        waveform: WaveformConfig,
        standardizer: Standardizer,
        window: int | None = None,
    ) -> None:
        self.representation, self.waveform, self.standardizer = representation, waveform, standardizer
        self.window = window
        try:
            self.transform = representations.of(representation)
        except ConfigError as error:  # made by code that took other settings
            raise EarmarkError(f"the model's representation cannot be built: {error}") from None

    def hear(self, path: Path) -> Heard:
        """Hear all of one file, which should be short.

        Raises RejectedError if it cannot be decoded, or if it is shorter than ``min_seconds``.
        """
        hearing = self.hearing(path)
        features = torch.cat([batch.features for batch in hearing])
        return Heard(features, hearing.seconds)

    def hearing(self, path: Path, blocks: Decoded | None = None) -> Hearing:
        """Hear one file of any length; blocks: of it, if some have been decoded already. Raises as ``hear``, later."""
        return Hearing(self, blocks or partial(self.blocks, path))

    def blocks(self, path: Path) -> Iterator[NDArray[np.float32] | str]:
        """Decode a file in another process by ``decode_blocks``."""
        clip = self.waveform
        settings = self.representation.rate, clip.min_seconds, clip.incomplete
        return pool.shared().stream(decode_blocks, path, *settings)

    def batches(self, blocks: Blocks) -> Iterator[Batch]:
        """Yield what the network gets of a file, in batches of the size in which all else scores segments."""
        parts = self._of_segments(blocks) if self.window is None else self._of_windows(blocks, self.window)
        while some := list(islice(parts, _TRANSFORMED)):
            features = np.concatenate([part for _, part in some])
            standardised = (features - self.standardizer.mean) * self.standardizer.inverse_std
            yield Batch(torch.from_numpy(standardised), np.concatenate([starts for starts, _ in some]))

    def _of_segments(self, blocks: Blocks) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield the seconds at which segments begin, and their features, (up to _TOGETHER segments, frames, dims)."""
        for starts, waves in segments(blocks, self.waveform, self.representation.samples, _TOGETHER):
            yield np.array(starts) / self.representation.rate, self._transformed(self.transform, waves)

    def _of_windows(self, blocks: Blocks, window: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield the seconds at which windows begin, and their features, (up to _TOGETHER windows, window, dims).

        A file that is shorter than a window is padded with zeros to one. The windows of a batch are transformed with
        one more before them and after them, so that their frames are those of the whole file.
        """
        wave, rate = Wave(blocks()), self.representation.rate
        hop = round(rate * float(self.transform.axes["seconds_per_frame"]))
        samples, size, transform = window * hop, _TOGETHER, None
        for first in count(0, size):
            more = wave.has((first + 1 + size) * samples)
            left = size if more else max(1, (1 + wave.length // hop) // window) - first
            if left <= 0:
                return
            if transform is None:
                size = min(size, left)
                settings = {"samples": (size + 2) * samples}
                transform = representations.of(self.representation.model_copy(update=settings))
            start, end = (first - 1) * samples, (first + 1 + size) * samples
            part, before = wave.part(max(0, start), end), max(0, -start)
            block = np.pad(part, (before, end - start - before - len(part)))
            frames = self._transformed(transform, block[None])[0, window : window * (1 + size)]
            starts = np.arange(first, first + min(left, size), dtype=np.float64) * (samples / rate)
            yield starts, frames.reshape(size, window, -1)[:left]
            wave.forget(end - 2 * samples)

    def _transformed(self, transform: Representation, waves: NDArray[np.float32]) -> NDArray[np.float32]:
        """Transform waves as they come back from a shard."""
        rounded = from_stored(to_stored(waves, self.waveform.dtype))
        with torch.no_grad():
            return transform(torch.from_numpy(np.ascontiguousarray(rounded))).numpy()
