"""The embeddings of a network that somebody has trained, as a representation: computed once, cached and shared.

What runs the network follows from the suffix of its file: the folder ``encoders`` has a module for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from earmark import doors, pickles
from earmark.errors import EarmarkError
from earmark.files import digest
from earmark.representations.base import OptionError, Rare, Representation, require

WEIGHTS = Path("data/weights")  # where `earmark weights` writes
BACKENDS = {".onnx": "onnx", ".safetensors": "saved", ".py": "script"}
UNHEARD = 0.01  # the share of a clip that may be left over at its end without a word
Pooling = Literal["none", "mean", "mean-std"]


@dataclass(frozen=True)
class Layers:
    """The layers of a network that are worth a look, in the order in which they run: (frames, dims) of a window each.

    note: what is not among them, though it could be named, and why; empty if there is nothing to say.
    """

    shapes: Mapping[str, tuple[int, int]]
    note: str = ""


class Backend(nn.Module):
    """A network of a file, and the way from a wave to its input.

    `forward` takes (batch, n_samples) and returns, for each of the layers that it was opened for, (batch, windows,
    frames, dims): what the layer gives for each of the windows that the network hears a clip in. They come out of one
    pass of the network if its file allows that. shapes: (windows, frames, dims) of each of these layers. seconds: from
    one window to the next. bytes_per_clip: as of a representation.
    """

    shapes: Sequence[tuple[int, int, int]]
    seconds: float
    bytes_per_clip: int
    unseen = 0.0  # the share of a clip that lies in no window

    def layers(self) -> Layers:
        """Return the layers that are worth a look. Raises EarmarkError if the file does not tell them."""
        raise NotImplementedError


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
        self.network = opened(path, rate, n_samples, [layer], hop, front)
        self.pooling, self.file = pooling, path
        (shape,) = self.network.shapes
        self.n_frames, self.n_dims = pooled_shape(shape, pooling)
        self.axes = axes(self.network, shape, pooling, found)
        self.bytes_per_clip = self.network.bytes_per_clip + 8 * prod(shape)
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
        (found,) = self.network(wave)
        return pooled(found, self.pooling, self.file)


def opened(
    path: Path,
    rate: int,
    n_samples: int,
    layers: Sequence[str | None],
    hop: int | None = None,
    front: Mapping[str, Any] | None = None,
) -> Backend:
    """Return what runs the network of a file and gives these layers of it; None stands for the one by default, alone.

    Raises OptionError if the file cannot be used with these options, or has no such layer.
    """
    read = doors.opened("encoders", BACKENDS[path.suffix])
    try:
        found: Backend = read(path, rate=rate, n_samples=n_samples, layers=layers, hop=hop, front=front)
    except EarmarkError as error:
        raise OptionError("encoder", "file", f"cannot be used: {error}") from None
    return found


def pooled(found: Tensor, pooling: Pooling, file: Path) -> Tensor:
    """Return a layer (batch, windows, frames, dims) of a network as features, `pooled_shape` per clip.

    Raises ValueError, which names the file, if a value is NaN or infinite.
    """
    if pooling == "none":
        found = found.flatten(1, 2)
    elif pooling == "mean":
        found = found.mean(dim=2)
    else:
        found = torch.cat([found.mean(dim=2), found.std(dim=2, correction=0)], dim=2)
    if not bool(torch.isfinite(found).all()):
        raise EarmarkError(f"{file} gave NaN or infinite values, which no model can be trained on")
    return found.float()


def pooled_shape(shape: tuple[int, int, int], pooling: Pooling) -> tuple[int, int]:
    """Return (frames, dims) of the features that `pooled` makes of (windows, frames, dims).

    >>> pooled_shape((9, 187, 64), "mean-std"), pooled_shape((9, 187, 64), "none")
    ((9, 128), (1683, 64))
    """
    windows, frames, dims = shape
    return windows * frames if pooling == "none" else windows, 2 * dims if pooling == "mean-std" else dims


def axes(
    network: Backend, shape: tuple[int, int, int], pooling: Pooling, sha256: str
) -> dict[str, np.ndarray | float | str]:
    """Return the axes of the features of a layer; its dims have no frequencies."""
    _, frames, _ = shape
    seconds = network.seconds / (frames if pooling == "none" else 1)
    return {"hz": np.zeros(pooled_shape(shape, pooling)[1]), "seconds_per_frame": seconds, "encoder": sha256}


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


def pinned(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with the digest of the file, which fingerprints and shards then hold."""
    return dict(options) | {"sha256": options.get("sha256") or digest(located(options["file"]))}


def libraries(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the packages, beside those of all representations, whose versions may change the values."""
    return ("onnxruntime",) if str(options.get("file")).endswith(".onnx") else ()


build = Encoder
