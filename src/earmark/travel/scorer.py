"""A saved model as one module, from features or a wave to probabilities: what is exported is exactly this."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from earmark import representations
from earmark.errors import EarmarkError
from earmark.features.dataset import starts
from earmark.models.saved import SavedModel
from earmark.representations.base import Representation
from earmark.representations.mel import AMIN, GAIN, Mel


class Scorer(nn.Module):
    """Features of clips, (clips, frames, dims) as the representation gives them -> probabilities (clips, tags).

    They are standardised in it, and averaged over the excerpts that the network hears.
    """

    def __init__(self, saved: SavedModel) -> None:
        super().__init__()
        self.network, self.exclusive = saved.build(), saved.exclusive
        self.excerpt = int(saved.training["excerpt_frames"])
        self.starts = starts(saved.frames, self.excerpt, int(saved.training["excerpts"]))
        self.mean: Tensor
        self.inverse_std: Tensor
        self.register_buffer("mean", torch.from_numpy(saved.standardizer.mean))
        self.register_buffer("inverse_std", torch.from_numpy(saved.standardizer.inverse_std))

    def forward(self, features: Tensor) -> Tensor:
        """Return the probability of every tag."""
        heard = (features - self.mean) * self.inverse_std
        parts = [self.network(heard[:, start : start + self.excerpt]) for start in self.starts]
        each = [part.softmax(dim=-1) if self.exclusive else torch.sigmoid(part) for part in parts]
        return torch.stack(each).mean(dim=0)


class Heard(nn.Module):
    """A wave, (clips, samples) -> probabilities (clips, tags): a front end and a scorer."""

    def __init__(self, front: nn.Module, scorer: Scorer) -> None:
        super().__init__()
        self.front, self.scorer = front, scorer

    def forward(self, wave: Tensor) -> Tensor:
        """Return the probability of every tag."""
        found: Tensor = self.scorer(self.front(wave))
        return found


class Computed(nn.Module):
    """A representation without its checks of shapes and samples, which look at values."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.representation = representation

    def forward(self, wave: Tensor) -> Tensor:
        """Return (clips, frames, dims)."""
        return self.representation.compute(wave)


class PlainMel(nn.Module):
    """Mel by a convolution with the windowed cosines and sines of the DFT: operators that every runtime has.

    The values are those of ``Mel`` to float32's rounding. It costs more: the DFT is a product with a matrix.
    """

    def __init__(self, mel: Mel) -> None:
        super().__init__()
        bins, places = np.arange(1 + mel.n_fft // 2), np.arange(mel.n_fft)
        angles = 2 * math.pi / mel.n_fft * np.outer(bins, places)
        window = mel.window.double().numpy()
        basis = np.concatenate([np.cos(angles) * window, np.sin(angles) * window])
        self.pad, self.hop, self.frames, self.compression = mel.n_fft // 2, mel.hop, mel.n_frames, mel.compression
        self.basis: Tensor
        self.filters: Tensor
        self.register_buffer("basis", torch.tensor(basis[:, None], dtype=torch.float32))
        self.register_buffer("filters", mel.filters.clone())

    def forward(self, wave: Tensor) -> Tensor:
        """Return (clips, frames, bands) of waves (clips, samples)."""
        padded = F.pad(wave, (self.pad, self.pad)).unsqueeze(1)
        parts = F.conv1d(padded, self.basis, stride=self.hop)[:, :, : self.frames].square()
        cosines, sines = parts.chunk(2, dim=1)
        bands = (cosines + sines).transpose(1, 2) @ self.filters
        if self.compression == "db":
            return 10 * bands.clamp(min=AMIN).log10()
        if self.compression == "log10p":
            return torch.log(1 + GAIN * bands) / math.log(10)
        return bands


def with_plain_front(saved: SavedModel) -> Heard:
    """Return a model from the wave on, in operators of ONNX. Raises EarmarkError unless it hears mel."""
    heard = representations.of(saved.representation)
    if not isinstance(heard, Mel):
        raise EarmarkError(
            f"the model of {saved.experiment!r} hears {saved.representation.kind}, and only mel is written in ONNX's "
            "operators; export its network alone, or all of it by --torch"
        )
    return Heard(PlainMel(heard), Scorer(saved))


def with_own_front(saved: SavedModel) -> Heard:
    """Return a model from the wave on, with its own representation."""
    return Heard(Computed(representations.of(saved.representation)), Scorer(saved))
