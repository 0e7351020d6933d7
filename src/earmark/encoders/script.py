"""A Python file as an encoder: whatever package it calls, it has a function ``encode``."""

from __future__ import annotations

import importlib.util
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.errors import EarmarkError
from earmark.representations.encoder import Backend

DOOR = "encode"


class Script(Backend):
    """``encode`` of a file, one clip after another; a clip is one window."""

    def __init__(self, file: Path, encode: Callable[..., Any], n_samples: int, seconds: float) -> None:
        super().__init__()
        self.file, self.encode, self.seconds = file, encode, seconds
        frames, dims = self._encoded(np.zeros(n_samples, np.float32)).shape
        self.shape = 1, frames, dims
        self.bytes_per_clip = 16 * 4 * n_samples  # a guess: what it calls is not known here

    def forward(self, wave: Tensor) -> Tensor:
        """Return (batch, 1, frames, dims) for ``wave`` (batch, n_samples)."""
        found = [self._encoded(clip) for clip in wave.cpu().numpy()]
        if shapes := {one.shape for one in found} - {found[0].shape}:
            raise EarmarkError(
                f"{self.file}: `{DOOR}` must return the same (frames, dims) for every clip, got {found[0].shape} and "
                f"{min(shapes)}"
            )
        return torch.from_numpy(np.stack(found)).unsqueeze(1).to(wave.device)

    def _encoded(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            found = np.asarray(self.encode(clip), np.float32)
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
    file: Path, rate: int, n_samples: int, layer: str | None, hop: int | None, front: Mapping[str, Any] | None
) -> Script:
    """Return the encoder of a Python file; ``encode`` gets ``layer``, if there is one.

    Raises EarmarkError if the file cannot be imported, lacks ``encode``, or says by RATE that it hears another rate.
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
    if layer is None:
        return Script(file, encode, n_samples, n_samples / rate)
    if "layer" not in inspect.signature(encode).parameters:
        raise EarmarkError(f"layer must be left out, got {layer!r}: `{DOOR}` of {file} takes none")
    return Script(file, lambda wave: encode(wave, layer=layer), n_samples, n_samples / rate)
