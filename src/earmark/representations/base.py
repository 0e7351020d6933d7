"""What all representations have in common, and how they refuse an option or a wave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from earmark.storage import memory

T = TypeVar("T")
RARE = "rare"
# The type of an option that shards and fingerprints name only if it does not have its default.
Rare = Annotated[T, RARE]


class Representation(nn.Module):
    """A transform of a batch of equally long clips into frames of features.

    Attributes:
        kind: its name in the registry.
        n_samples: samples per clip that `forward` takes, at `rate` Hz.
        n_frames, n_dims: shape of one clip's features.
        axes: what the frames and dims mean: at least `hz`, an array with one centre frequency per dim,
            and `seconds_per_frame`, a float. Scattering adds `order`, `xi1`, `bw1`, `xi2` and `bw2`. A representation
            that brings some dims to their scale itself says by `standardized`, an array of bool with one per dim, which
            dims the standardizer shall scale; without it, that is all.
        bytes_per_clip: estimate of the memory in flight per clip, the input and the output included.
        unseen: the share of a clip's samples that lie in no frame and so change nothing, 0 without gaps between frames.

    """

    n_frames: int
    n_dims: int
    axes: Mapping[str, np.ndarray | float | str]
    bytes_per_clip: int
    unseen: float = 0.0

    def __init__(self, kind: str, rate: int, n_samples: int) -> None:
        super().__init__()
        require(rate > 0, kind, "rate", "be positive", rate, "Hz of the decoded clips")
        require(n_samples > 0, kind, "n_samples", "be positive", n_samples, "an empty clip")
        self.kind, self.rate, self.n_samples = kind, rate, n_samples

    def forward(self, wave: Tensor) -> Tensor:
        """Return (batch, n_frames, n_dims), contiguous float32, for `wave` (batch, n_samples), mono at `rate` Hz.

        Raises ValueError, which names the clip, if the shape is another or a sample is NaN or infinite, and if
        `compute` returns something else.
        """
        check_wave(wave, self.n_samples)
        return self.checked(wave)

    def checked(self, wave: Tensor) -> Tensor:
        """Do what `forward` does, but do not look at the samples. Raises ValueError if `compute` is wrong."""
        features = self.compute(wave)
        wanted = (len(wave), self.n_frames, self.n_dims)
        if not isinstance(features, Tensor) or (tuple(features.shape), features.dtype) != (wanted, torch.float32):
            found = f"{tuple(features.shape)} {features.dtype}" if isinstance(features, Tensor) else repr(features)
            raise ValueError(
                f"`compute` of the kind {self.kind} must return {wanted} (clips, n_frames, n_dims) {torch.float32} for "
                f"{len(wave)} clips of {self.n_samples} samples, but gave {found}"
            )
        return features.contiguous()

    def compute(self, wave: Tensor) -> Tensor:
        """Do what `forward` does, but check nothing: on a GPU, a check would wait for the result."""
        raise NotImplementedError

    def warning(self, name: str) -> str:
        """Return a line for whoever has the entry `name` in params.yaml, empty if there is nothing to say."""
        if not self.unseen:
            return ""
        share = f"{100 * self.unseen:.1f} %"
        return f"warning: representations.{name}: hop leaves gaps between frames; {share} of the samples lie in none"


def unseen(n_samples: int, n_frames: int, hop: int, first: int, width: int) -> float:
    """Return the share of a clip's samples that lie in no frame, 0 if there are no gaps between frames.

    Frame t covers ``width`` samples from sample t * hop + ``first`` on, which may lie before the clip.

    >>> unseen(1000, n_frames=6, hop=200, first=-50, width=100)
    0.5
    """
    if hop <= width:
        return 0.0
    starts = hop * np.arange(n_frames) + first
    seen = np.clip(starts + width, 0, n_samples) - np.clip(starts, 0, n_samples)
    return float(1 - seen.sum() / n_samples)


class OptionError(ValueError):
    """An option out of its limits: its kind, its name, and what is wrong with it."""

    def __init__(self, kind: str, key: str, wrong: str) -> None:
        super().__init__(kind, key, wrong)
        self.kind, self.key, self.wrong = kind, key, wrong

    def __str__(self) -> str:
        return self.of(self.kind)

    def of(self, name: str) -> str:
        """Return the text with `name`, an entry of params.yaml, in place of the kind."""
        return f"{section_of(self.kind)}.{name}.{self.key} {self.wrong}"


def section_of(kind: str) -> str:
    """Return the section of params.yaml that entries of a kind stand in."""
    return "encoders" if kind == "encoder" else "representations"


def require(condition: bool, kind: str, key: str, limit: str, value: object, cause: str = "") -> None:
    """Raise an OptionError, which names the option, its limit, its value and the likely cause, unless `condition`."""
    if not condition:
        hint = f" ({cause})" if cause else ""
        raise OptionError(kind, key, f"must {limit}, got {value!r}{hint}")


def require_memory(size: float, kind: str, key: str, value: object) -> None:
    """Raise an OptionError if what an option makes, ``size`` bytes, is more than the memory that is free."""
    free = memory.available()
    limit = f"leave what it makes within the free memory of {free / 1e9:.1f} GB"
    require(size <= free, kind, key, limit, value, f"it would take {size / 1e9:.1f} GB")


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
