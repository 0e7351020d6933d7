"""The one registry of representations: a name and options in, a batched transform out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

KINDS = ("scattering", "mel", "cqt", "waveform")


class Representation(nn.Module):
    """A transform of a batch of equally long clips into frames of features.

    Attributes:
        kind: its name in the registry.
        n_samples: samples per clip that `forward` takes, at `rate` Hz.
        n_frames, n_dims: shape of one clip's features.
        axes: what the frames and dims mean: at least `hz`, an array with one centre frequency per dim,
            and `seconds_per_frame`, a float. Scattering adds `order`, `xi1`, `bw1`, `xi2` and `bw2`.
        bytes_per_clip: estimate of the memory in flight per clip, the input and the output included.

    """

    n_frames: int
    n_dims: int
    axes: Mapping[str, np.ndarray | float | str]
    bytes_per_clip: int

    def __init__(self, kind: str, rate: int, n_samples: int) -> None:
        super().__init__()
        require(rate > 0, kind, "rate", "be positive", rate, "Hz of the decoded clips")
        require(n_samples > 0, kind, "n_samples", "be positive", n_samples, "an empty clip")
        self.kind, self.rate, self.n_samples = kind, rate, n_samples

    def forward(self, wave: Tensor) -> Tensor:
        """Return (batch, n_frames, n_dims), contiguous, for `wave` (batch, n_samples) at `rate` Hz."""
        raise NotImplementedError


def require(condition: bool, kind: str, key: str, limit: str, value: object, cause: str = "") -> None:
    """Raise a ValueError that names the option, its limit, its value and the likely cause, unless `condition`."""
    if not condition:
        hint = f" ({cause})" if cause else ""
        raise ValueError(f"representations.{kind}.{key} must {limit}, got {value!r}{hint}")


def check_wave(wave: Tensor, n_samples: int) -> None:
    """Raise a ValueError unless `wave` is (batch, n_samples) and finite; the message names the clip."""
    if wave.dim() != 2 or wave.shape[1] != n_samples:
        raise ValueError(
            f"wave must be (batch, {n_samples}), got {tuple(wave.shape)}: "
            "clips of another length, or decoded at another rate"
        )
    finite = torch.isfinite(wave.sum(1))
    if not bool(finite.all()):
        clips = torch.nonzero(~finite).flatten().tolist()
        raise ValueError(f"wave must be finite, but clip {clips[0]} of the batch has NaN or infinite samples {clips=}")


def build(kind: str, *, rate: int, n_samples: int, **options: Any) -> Representation:
    """Build the representation called `kind`, one of `KINDS`.

    rate: Hz of the clips. n_samples: samples per clip. options: as the class of that kind documents them.

    Raises:
        ValueError: an unknown kind or option, or a value out of its limits.

    """
    try:
        match kind:
            case "scattering":
                from earmark.representations.scattering import ScatteringFeatures

                return ScatteringFeatures(rate=rate, n_samples=n_samples, **options)
            case "mel":
                from earmark.representations.mel import Mel

                return Mel(rate=rate, n_samples=n_samples, **options)
            case "cqt":
                from earmark.representations.cqt import CQT

                return CQT(rate=rate, n_samples=n_samples, **options)
            case "waveform":
                from earmark.representations.waveform import Waveform

                return Waveform(rate=rate, n_samples=n_samples, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"representations.{kind}: {str(error).split('.')[-1].split('() ')[-1]}") from error
    raise ValueError(f"representation kind must be one of {', '.join(KINDS)}, got {kind!r}")
