"""From an audio file to the input of a network: decoded, cut, rounded, transformed and standardised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig, WaveformConfig
from earmark.decode.audio import REMAINDER, cut, decode_whole, from_stored, to_stored
from earmark.errors import EarmarkError
from earmark.features.standardize import Standardizer

_BATCH = 8  # segments that are transformed at one time: an album must not need all its memory at once


@dataclass(frozen=True)
class Heard:
    """What a network gets of a file: features (segments, frames, dims), standardised; seconds: of the whole file."""

    features: Tensor
    seconds: float


class Listener:
    """The way from an audio file to the input of one network.

    It runs the functions of the pipeline. The pipeline also stores waveforms and features in shards; this changes
    nothing, unless the representation is stored as float16: then features differ by at most 0.001 standardised units.

    representation, waveform, standardizer: those of the model. Raises EarmarkError if today's code cannot build the
    representation.
    """

    def __init__(
        self, representation: RepresentationConfig, waveform: WaveformConfig, standardizer: Standardizer
    ) -> None:
        self.representation, self.waveform, self.standardizer = representation, waveform, standardizer
        try:
            self.transform = representations.of(representation)
        except ConfigError as error:  # made by code that took other settings
            raise EarmarkError(f"the model's representation cannot be built: {error}") from None

    def hear(self, path: Path) -> Heard:
        """Read one file. Raises RejectedError if it cannot be decoded, or if it is shorter than ``min_seconds``."""
        wave = decode_whole(path, self.representation.rate, self.waveform.min_seconds)
        segments = from_stored(to_stored(self._segments(wave), self.waveform.dtype))
        with torch.no_grad():
            parts = [
                self.transform(torch.from_numpy(np.ascontiguousarray(segments[start : start + _BATCH]))).numpy()
                for start in range(0, len(segments), _BATCH)
            ]
        features = (np.concatenate(parts) - self.standardizer.mean) * self.standardizer.inverse_std
        return Heard(torch.from_numpy(features), len(wave) / self.representation.rate)

    def _segments(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut a file, (samples of the file,) -> (segments, samples).

        A file that is at most a tenth longer than the clips of the corpus is cut by their policy. A longer one is cut
        into segments, one after the other, whatever the policy: a song is heard from beginning to end.
        """
        clip, samples = self.waveform, self.representation.samples
        if clip.policy != "segments" and len(wave) > (1 + REMAINDER) * clip.samples:
            return cut(wave, samples, "segments")
        return cut(wave, clip.samples, clip.policy, clip.segments)[:, :samples]
