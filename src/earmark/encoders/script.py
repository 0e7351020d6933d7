"""A Python file as an encoder: whatever package it calls, it has a function ``encode``."""

from __future__ import annotations

import importlib.util
import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.errors import EarmarkError
from earmark.representations.encoder import Backend, Layers
from earmark.sections import near

DOOR = "encode"


class Script(Backend):
    """``encode`` of a file, one clip after another; a clip is one window.

    Of several layers, it is called for all of a clip before the next clip, so that a file that remembers what it made
    of the last wave runs its network once. known: the layers that the file names.
    """

    def __init__(
        self,
        file: Path,
        encode: Callable[..., Any],
        layers: Sequence[str | None],
        known: Sequence[str],
        n_samples: int,
        seconds: float,
    ) -> None:
        super().__init__()
        self.file, self.encode, self.names, self.known = file, encode, list(layers), list(known)
        self.seconds, self.n_samples = seconds, n_samples
        self.shapes = [(1, *self._encoded(self._silence(), name).shape) for name in self.names]
        self.bytes_per_clip = 16 * 4 * n_samples  # a guess: what it calls is not known here

    def forward(self, wave: Tensor) -> list[Tensor]:
        """Return (batch, 1, frames, dims) of each layer for ``wave`` (batch, n_samples)."""
        clips = [[self._encoded(clip, name) for name in self.names] for clip in wave.cpu().numpy()]
        return [self._stacked(found).to(wave.device) for found in zip(*clips, strict=True)]

    def layers(self) -> Layers:
        """Return the layers that the file names by LAYERS."""
        if not self.known:
            raise EarmarkError(
                f'{self.file} does not say which layers it has: `LAYERS = ("name", ...)` at its top level does, '
                f"together with `{DOOR}(wave, layer)`"
            )
        return Layers({name: self._encoded(self._silence(), name).shape for name in self.known})

    def _silence(self) -> NDArray[np.float32]:
        return np.zeros(self.n_samples, np.float32)

    def _stacked(self, found: Sequence[NDArray[np.float32]]) -> Tensor:
        if shapes := {one.shape for one in found} - {found[0].shape}:
            raise EarmarkError(
                f"{self.file}: `{DOOR}` must return the same (frames, dims) for every clip, got {found[0].shape} and "
                f"{min(shapes)}"
            )
        return torch.from_numpy(np.stack(found)).unsqueeze(1)

    def _encoded(self, clip: NDArray[np.float32], layer: str | None) -> NDArray[np.float32]:
        try:
            found = np.asarray(self.encode(clip) if layer is None else self.encode(clip, layer=layer), np.float32)
        except MemoryError:
            raise
        except Exception as error:
            raise EarmarkError(_told(self.file, error)) from error
        if found.ndim == 1:
            found = found[None]
        if found.ndim != 2 or 0 in found.shape:
            raise EarmarkError(
                f"{self.file}: `{DOOR}` must return (frames, dims) for a wave of {len(clip)} samples, got {found.shape}"
            )
        return found


def _told(file: Path, error: Exception) -> str:
    """Return in one line where the code of the file failed, and how."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f"{file}, line {lines[-1]}" if lines else str(file)
    return f"{where}: {' '.join(f'{type(error).__name__}: {error}'.split())}"


def read(
    file: Path,
    rate: int,
    n_samples: int,
    layers: Sequence[str | None],
    hop: int | None,
    front: Mapping[str, Any] | None,
) -> Script:
    """Return the encoder of a Python file; ``encode`` gets the ``layer``, if it is not None.

    None is the first of LAYERS, if ``encode`` has no default for it.

    Raises EarmarkError if the file cannot be imported, lacks ``encode``, or says by RATE that it hears another rate,
    or by LAYERS that it has no such layer.
    """
    for option, value in (("hop", hop), ("front", front)):
        if value is not None:
            raise EarmarkError(f"{option} must be left out, got {value!r}: `{DOOR}` of {file} gets the whole wave")
    spec = importlib.util.spec_from_file_location(f"earmark_encoder_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise EarmarkError(_told(file, error)) from error
    encode = getattr(module, DOOR, None)
    if not callable(encode):
        raise EarmarkError(f"{file} must have a function `{DOOR}` at its top level, got {encode!r}")
    if getattr(module, "RATE", rate) != rate:
        raise EarmarkError(f"rate must be {module.RATE} Hz, the RATE of {file}, got {rate} Hz")
    known, takes = _known(file, module, encode), inspect.signature(encode).parameters
    if known and takes["layer"].default is inspect.Parameter.empty:
        layers = [known[0] if layer is None else layer for layer in layers]
    for layer in layers:
        if layer is not None and "layer" not in takes:
            raise EarmarkError(f"layer must be left out, got {layer!r}: `{DOOR}` of {file} takes none")
        if layer is not None and known and layer not in known:
            raise EarmarkError(
                f"layer must be one of {', '.join(known)}, the LAYERS of {file}, got {layer!r}{near(layer, known)}"
            )
    return Script(file, encode, layers, known, n_samples, n_samples / rate)


def _known(file: Path, module: object, encode: Callable[..., Any]) -> tuple[str, ...]:
    """Return LAYERS of the file, nothing if it has none. Raises EarmarkError if they are no names."""
    named = getattr(module, "LAYERS", ())
    if not isinstance(named, tuple | list) or not all(isinstance(name, str) for name in named):
        raise EarmarkError(f"{file}: LAYERS must be a tuple of names, got {named!r}")
    if named and "layer" not in inspect.signature(encode).parameters:
        raise EarmarkError(f"{file} names LAYERS, so that `{DOOR}` must take them: `def {DOOR}(wave, layer)`")
    return tuple(named)
