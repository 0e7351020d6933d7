"""The embeddings of a network that somebody has trained, as a representation: computed once, cached and shared.

What runs the network follows from the suffix of its file: the folder ``encoders`` has a module for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from earmark import doors, pickles
from earmark.errors import EarmarkError
from earmark.representations.base import OptionError, Rare, Representation, require

WEIGHTS = Path("data/weights")  # where `earmark weights` writes
BACKENDS = {".onnx": "onnx", ".safetensors": "saved", ".py": "script"}
UNHEARD = 0.01  # the share of a clip that may be left over at its end without a word
Pooling = Literal["none", "mean", "mean-std"]


class Backend(nn.Module):
    """A network of a file, and the way from a wave to its input.

    `forward` takes (batch, n_samples) and returns (batch, windows, frames, dims): what the network gives for each of
    the windows that it hears a clip in. shape: (windows, frames, dims). seconds: from one window to the next.
    bytes_per_clip: as of a representation.
    """

    shape: tuple[int, int, int]
    seconds: float
    bytes_per_clip: int
    unseen = 0.0  # the share of a clip that lies in no window


class Encoder(Representation):
    """The output of a layer of a trained network, pooled over each window that it hears at one time.

    file: an ONNX model, a model of earmark (.safetensors), or a Python file with `encode(wave) -> (frames, dims)`.
    sha256: of the file, which is refused if it has another; left out, it is taken from the file.
    layer: what is taken; by default what enters the last linear layer of a model of earmark, and the first output of an
    ONNX model. pooling: ``mean`` or mean and deviation (``mean-std``) over the frames of a window, so that a window is
    a frame; ``none`` leaves its frames. hop: samples from one window to the next, by default its length.
    front: the representation that an ONNX model reads, as ``{kind: mel, ...}``, if it does not read the wave.

    `forward` returns (batch, windows, dims) or (batch, windows * frames, dims).

    Raises OptionError if the file is absent, another one than `sha256` says, or a pickle.
    """

    def __init__(
        self,
        *,
        rate: int,
        n_samples: int,
        file: str,
        sha256: Rare[str | None] = None,
        layer: Rare[str | None] = None,
        pooling: Pooling = "mean",
        hop: Rare[int | None] = None,
        front: Rare[dict[str, Any] | None] = None,
    ) -> None:
        super().__init__("encoder", rate, n_samples)
        require(hop is None or hop >= 1, "encoder", "hop", "be at least 1", hop)
        path = located(file)
        found = digest(path)
        require(sha256 in (None, found), "encoder", "sha256", f"be that of {path}, {found}", sha256, "another file")
        read = doors.opened("encoders", BACKENDS[path.suffix])
        try:
            self.network: Backend = read(path, rate=rate, n_samples=n_samples, layer=layer, hop=hop, front=front)
        except EarmarkError as error:
            raise OptionError("encoder", "file", f"cannot be used: {error}") from None
        self.pooling, self.file = pooling, path
        windows, frames, dims = self.network.shape
        self.n_frames = windows * frames if pooling == "none" else windows
        self.n_dims = 2 * dims if pooling == "mean-std" else dims
        seconds = self.network.seconds / (frames if pooling == "none" else 1)
        self.axes = {"hz": np.zeros(self.n_dims), "seconds_per_frame": seconds, "encoder": found}
        self.bytes_per_clip = self.network.bytes_per_clip + 8 * windows * frames * dims
        self.unseen = self.network.unseen

    def warning(self, name: str) -> str:
        """Return a line for whoever has the entry ``name`` in params.yaml, if a part of every clip is not heard."""
        if self.unseen < UNHEARD:
            return ""
        share = f"{100 * self.unseen:.1f} %"
        return f"warning: encoders.{name}: {share} of a clip's samples lie in no window of {self.file}"

    def compute(self, wave: Tensor) -> Tensor:
        """Return (batch, n_frames, n_dims) for `wave` (batch, n_samples).

        Raises ValueError if a value is NaN or infinite.
        """
        found = self.network(wave)
        if self.pooling == "none":
            found = found.flatten(1, 2)
        elif self.pooling == "mean":
            found = found.mean(dim=2)
        else:
            found = torch.cat([found.mean(dim=2), found.std(dim=2, correction=0)], dim=2)
        if not bool(torch.isfinite(found).all()):
            raise ValueError(f"{self.file} gave NaN or infinite values, which no model can be trained on")
        return found.float()


def located(file: str) -> Path:
    """Return the path of an encoder's file.

    Raises OptionError if there is none, or if it is of a kind that is not read.
    """
    path = Path(file)
    try:
        pickles.refuse(path)
    except EarmarkError as error:
        raise OptionError("encoder", "file", f"must be one of {', '.join(BACKENDS)}: {error}") from None
    weights = WEIGHTS / f"{file}.safetensors"
    hint = f"the path of published weights is {weights}" if not path.suffix else ""
    require(path.suffix in BACKENDS, "encoder", "file", f"end in one of {', '.join(BACKENDS)}", file, hint)
    get = f"`earmark weights {path.stem}` makes it" if path.parent == WEIGHTS else "a path from the project's root?"
    require(path.is_file(), "encoder", "file", "be a file that exists", file, get)
    return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pinned(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with the digest of the file, which fingerprints and shards then hold."""
    return dict(options) | {"sha256": options.get("sha256") or digest(located(options["file"]))}


def libraries(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the packages, beside those of all representations, whose versions may change the values."""
    return ("onnxruntime",) if str(options.get("file")).endswith(".onnx") else ()


build = Encoder
