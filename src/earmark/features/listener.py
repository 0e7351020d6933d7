"""From an audio file to the input of a network: decoded, cut, rounded, transformed and standardised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig, WaveformConfig
from earmark.decode.audio import REMAINDER, cut, decode_whole, from_stored, to_stored
from earmark.errors import EarmarkError
from earmark.features.standardize import Standardizer
from earmark.representations.base import Representation

_BATCH = 8  # segments, or windows, that are transformed at one time: an album must not need all its memory at once


@dataclass(frozen=True)
class Heard:
    """What a network gets of a file: features (segments, frames, dims), standardised; seconds: of the whole file."""

    features: Tensor
    seconds: float


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
        """Read one file. Raises RejectedError if it cannot be decoded, or if it is shorter than ``min_seconds``."""
        return self.of_wave(self.decode(path))

    def decode(self, path: Path) -> NDArray[np.float32]:
        """Return the wave of a file, (samples of the file,), mono at the representation's rate. Raises as ``hear``."""
        return decode_whole(path, self.representation.rate, self.waveform.min_seconds)

    def of_wave(self, wave: NDArray[np.float32]) -> Heard:
        """Return what the network gets of a wave that ``decode`` returned."""
        with torch.no_grad():
            parts = list(self._of_segments(wave) if self.window is None else self._of_windows(wave, self.window))
        features = (np.concatenate(parts) - self.standardizer.mean) * self.standardizer.inverse_std
        return Heard(torch.from_numpy(features), len(wave) / self.representation.rate)

    def starts(self, samples: int) -> NDArray[np.float64]:
        """Return where each of the segments, or windows, of a file of so many samples begins, in seconds."""
        rate = self.representation.rate
        if self.window is None:
            places = self._segments(np.arange(samples, dtype=np.int32))[:, 0]  # cut as the wave is
            return np.asarray(places / rate, np.float64)
        hop = self._hop
        windows = np.arange(max(1, (1 + samples // hop) // self.window), dtype=np.float64)
        return windows * (self.window * hop / rate)

    @property
    def _hop(self) -> int:
        return round(self.representation.rate * float(self.transform.axes["seconds_per_frame"]))

    def _of_segments(self, wave: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield the features of a file's segments, (up to _BATCH segments, frames, dims)."""
        segments = self._rounded(self._segments(wave))
        for start in range(0, len(segments), _BATCH):
            yield self._transformed(self.transform, segments[start : start + _BATCH])

    def _of_windows(self, wave: NDArray[np.float32], window: int) -> Iterator[NDArray[np.float32]]:
        """Yield the features of a file's windows, (up to _BATCH windows, window, dims).

        A file that is shorter than a window is padded with zeros to one. The windows of a batch are transformed with
        one more before them and after them, so that their frames are those of the whole file.
        """
        hop = self._hop
        samples, count = window * hop, max(1, (1 + len(wave) // hop) // window)
        size = min(_BATCH, count)
        transform = representations.of(self.representation.model_copy(update={"samples": (size + 2) * samples}))
        for first in range(0, count, size):
            start, end = (first - 1) * samples, (first + 1 + size) * samples
            part = wave[max(0, start) : end]
            before = max(0, -start)
            block = np.pad(part, (before, end - start - before - len(part)))
            frames = self._transformed(transform, self._rounded(block[None]))[0, window : window * (1 + size)]
            yield frames.reshape(size, window, -1)[: count - first]

    def _rounded(self, waves: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return waves as they come back from a shard."""
        return from_stored(to_stored(waves, self.waveform.dtype))

    def _transformed(self, transform: Representation, waves: NDArray[np.float32]) -> NDArray[np.float32]:
        return transform(torch.from_numpy(np.ascontiguousarray(waves))).numpy()

    def _segments(self, wave: NDArray[Any]) -> NDArray[Any]:
        """Cut a file, (samples of the file,) -> (segments, samples).

        A file that is at most a tenth longer than the clips of the corpus is cut by their policy. A longer one is cut
        into segments, one after the other, whatever the policy: a song is heard from beginning to end.
        """
        clip, samples = self.waveform, self.representation.samples
        if clip.policy != "segments" and len(wave) > (1 + REMAINDER) * clip.samples:
            return cut(wave, samples, "segments")
        return cut(wave, clip.samples, clip.policy, clip.segments)[:, :samples]
