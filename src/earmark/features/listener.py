"""How a network hears an audio file: decoded, cut, stored, transformed and standardised as the pipeline does it."""

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

_BATCH = 8  # segments transformed at once: a whole album must not need its whole memory at once


@dataclass(frozen=True)
class Heard:
    """``features``: (segments, frames, dims), standardised; ``seconds``: of the whole file."""

    features: Tensor
    seconds: float


class Listener:
    """The way from a file to the input of one network.

    It is that of the pipeline, by the same functions: the stages decode and features keep what is between them, and
    features, in shards. Only a representation stored as float16 differs there, by 0.001 standardised units at most.

    representation, waveform: as the shards and models that are heard hold them. standardizer: what standardises.
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
        """Read one file; RejectedError where it cannot be decoded, or is shorter than the pipeline takes it."""
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
        """What is heard of a file, (segments, samples).

        A file as long as the corpus's clips, or shorter, is cut by the policy of these, one that is longer by more than
        a tenth into segments, one after the other, whatever the policy: a song is heard from beginning to end.
        """
        clip, samples = self.waveform, self.representation.samples
        if clip.policy != "segments" and len(wave) > (1 + REMAINDER) * clip.samples:
            return cut(wave, samples, "segments")
        return cut(wave, clip.samples, clip.policy, clip.segments)[:, :samples]
