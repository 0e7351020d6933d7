"""The raw waveform as a representation, for networks that learn their own filters."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from earmark.representations.base import Representation


class Waveform(Representation):
    """The identity: a frame per sample, of one dim. It has no options."""

    def __init__(self, *, rate: int, n_samples: int) -> None:
        super().__init__("waveform", rate, n_samples)
        self.n_frames, self.n_dims = n_samples, 1
        self.axes = {"hz": np.zeros(1), "seconds_per_frame": 1 / rate}
        self.bytes_per_clip = 4 * n_samples

    def compute(self, wave: Tensor) -> Tensor:
        """Return `wave` (batch, n_samples) as (batch, n_samples, 1)."""
        return wave.contiguous().unsqueeze(-1)


build = Waveform
