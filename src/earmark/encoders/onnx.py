"""An ONNX model as an encoder, run by onnxruntime: any of its outputs, and any tensor within it."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from earmark import representations
from earmark.config import RepresentationConfig
from earmark.encoders import choice, onnx_graph, windows
from earmark.errors import EarmarkError
from earmark.representations.base import Representation
from earmark.representations.encoder import Backend, Layers
from earmark.sections import in_one_line
from earmark.storage import memory

TRIAL = 300.0  # seconds that a window of silence may take: a graph can loop without end
_FATAL = 4  # a level of onnxruntime's log


class Onnx(Backend):
    """A session of a model with one input: the wave, or the features of ``front``."""

    def __init__(
        self,
        file: Path,
        session: Any,
        layers: Sequence[str],
        front: Representation | None,
        rate: int,
        n_samples: int,
        hop: int | None,
    ) -> None:
        super().__init__()
        self.file, self.session, self.names, self.front = file, session, list(layers), front
        (self.input,) = session.get_inputs()
        length = n_samples if front is None else front.n_frames
        self.axis, self.rank = _time_axis(self.input.shape, front), len(self.input.shape)
        size = self.input.shape[self.axis]
        self.window = size if isinstance(size, int) else length
        step = 1 / rate if front is None else float(front.axes["seconds_per_frame"])
        self._require_room()
        self.hop = self.window if hop is None else max(1, round(hop / rate / step))
        self.seconds, self.unseen = self.hop * step, windows.unseen(length, self.window, self.hop)
        number = windows.count(length, self.window, self.hop)
        self.shapes = [(number, *found.shape[1:]) for found in self._run(self._silence(1), TRIAL)]
        inside = 4 * n_samples if front is None else front.bytes_per_clip
        self.bytes_per_clip = inside + 64 * 4 * n_samples  # a guess: onnxruntime does not tell what it takes

    def forward(self, wave: Tensor) -> list[Tensor]:
        """Return (batch, windows, frames, dims) of each layer for ``wave`` (batch, n_samples)."""
        heard = wave if self.front is None else self.front(wave)
        cuts = windows.cut(heard, self.window, self.hop)
        at_once = windows.AT_ONCE if self._takes_several() else 1
        parts = [self._run(part.cpu().numpy()) for part in windows.parts(cuts, at_once)]
        layers = (torch.from_numpy(np.concatenate(of_layer)) for of_layer in zip(*parts, strict=True))
        return [windows.together(layer, cuts).to(wave.device) for layer in layers]

    def layers(self) -> Layers:
        """Return the outputs, and the inner tensors that are layers (``onnx_graph.layers``) and give frames of dims."""
        content, note = self.file.read_bytes(), ""
        if onnx_graph.readable():
            inner, outputs = onnx_graph.layers(content)
            content = onnx_graph.with_outputs(content, inner, self.file)
        else:
            inner, note = [], "inner tensors, which are told after `pip install onnx`"
            outputs = [output.name for output in _session(self.file, content).get_outputs()]
        number = 2 if self._takes_several() else 1
        tried = self._raw(_session(self.file, content), [*inner, *outputs], self._silence(number), TRIAL)
        shapes = {name: _framed(found).shape[1:] for name, found in tried.items() if _is_layer(found, number)}
        return choice.chosen(shapes, [name for name in outputs if name in shapes], note)

    def _takes_several(self) -> bool:
        """Tell whether the model hears several windows at one time."""
        return not isinstance(self.input.shape[0], int)

    def _require_room(self) -> None:
        """Raise EarmarkError if the windows that the model wants are empty, or larger than memory."""
        dims, free = 1 if self.front is None else self.front.n_dims, memory.available()
        if not 0 < 4 * self.window * dims <= free:
            raise EarmarkError(
                f"its input must be windows of at least 1 frame that fit into memory, got {self.input.shape}: "
                f"{4e-9 * self.window * dims:.1f} GB, and {free / 1e9:.1f} GB are free"
            )

    def _silence(self, number: int) -> NDArray[np.float32]:
        """Return so many windows of zeros."""
        one = (self.window,) if self.front is None else (self.window, self.front.n_dims)
        return np.zeros((number, *one), np.float32)

    def _run(self, cuts: NDArray[np.float32], limit: float | None = None) -> list[NDArray[np.float32]]:
        """Return (cuts, frames, dims) of each layer for cuts of the wave (cuts, window) or of features.

        Raises EarmarkError if a layer gives something else.
        """
        found = self._raw(self.session, self.names, cuts, limit)
        for name, values in found.items():
            if not _is_layer(values, len(cuts)):
                raise EarmarkError(
                    f"layer {name!r} must give (windows, frames, dims) of float for {len(cuts)} windows, got "
                    f"{values.shape} {values.dtype}"
                )
        return [_framed(found[name]) for name in self.names]

    def _raw(
        self, session: Any, names: Sequence[str], cuts: NDArray[np.float32], limit: float | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return what a session gives under each name for cuts (cuts, window) or (cuts, window, dims).

        Raises EarmarkError if it fails, or takes more than ``limit`` seconds.
        """
        if self.front is None:
            cuts = cuts.reshape(len(cuts), *(cuts.shape[1] if a == self.axis else 1 for a in range(1, self.rank)))
        elif self.axis == 2:
            cuts = cuts.swapaxes(1, 2)
        try:
            found = _within(limit, session, list(names), {self.input.name: np.ascontiguousarray(cuts)})
        except Exception as error:  # its classes are not public
            raise EarmarkError(f"onnxruntime: {_in_short(error)}") from None
        return dict(zip(names, found, strict=True))


def _is_layer(found: Any, n_windows: int) -> bool:
    """Tell whether an output is of float, (windows, ...)."""
    return isinstance(found, np.ndarray) and found.dtype.kind == "f" and found.ndim >= 2 and len(found) == n_windows


def _framed(found: NDArray[Any]) -> NDArray[np.float32]:
    """Return (windows, dims), (windows, frames, dims) or (windows, frames, ...) as (windows, frames, dims)."""
    return np.asarray(found.reshape(len(found), *((1,) if found.ndim == 2 else (found.shape[1],)), -1), np.float32)


def _time_axis(shape: list[Any], front: Representation | None) -> int:
    """Return which axis of an input (batch, ...) is time: the longest one of a wave; that which is not the dims'.

    Raises EarmarkError if the input is neither of the two.
    """
    rest = list(enumerate(shape))[1:]
    if front is None:
        long = [axis for axis, size in rest if size != 1]
        if len(long) == 1:
            return long[0]
        hint = "; if it reads features, `front: {kind: mel, ...}` says which"
    else:
        times = [axis for axis, size in rest if not (isinstance(size, int) and size == front.n_dims)]
        if len(rest) == 2 and len(times) == 1:
            return times[0]
        hint = f" of the {front.n_dims} dims that front has"
    what = "a wave (batch, samples)" if front is None else "features (batch, frames, dims)"
    raise EarmarkError(f"its input must be {what}, got {shape}{hint}")


def read(
    file: Path,
    rate: int,
    n_samples: int,
    layers: Sequence[str | None],
    hop: int | None,
    front: Mapping[str, Any] | None,
) -> Onnx:
    """Return the encoder of an ONNX file; None among ``layers`` is its first output.

    Raises EarmarkError if onnxruntime is missing, cannot read the file (no ONNX, or an opset that it does not know), if
    the model has several inputs, or none that is a wave or the features of ``front``, or if it has no such layer.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise EarmarkError(f"{file} is run by onnxruntime, which is not installed: `pip install 'earmark[onnx]'`")
    session = _session(file, file.read_bytes())
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        told = ", ".join(f"{one.name} {one.type}" for one in inputs)
        raise EarmarkError(f"{file} must have one input of float32, got {told or 'none'}")
    outputs = [output.name for output in session.get_outputs()]
    names = [outputs[0] if layer is None else layer for layer in layers]
    if inner := [name for name in names if name not in outputs]:
        onnx_graph.require_readable(file, inner[0], outputs)
        session = _session(file, onnx_graph.with_outputs(file.read_bytes(), inner, file))
    try:
        heard = None if front is None else representations.of(_front(front, rate, n_samples), "front")
        return Onnx(file, session, names, heard, rate, n_samples, hop)
    except EarmarkError as error:
        raise EarmarkError(f"{file}: {error}") from None


def _front(front: Mapping[str, Any], rate: int, n_samples: int) -> RepresentationConfig:
    """Return the settings of a front. Raises EarmarkError if they are not those of a representation."""
    for key in ("rate", "samples"):
        if key in front:
            raise EarmarkError(f"front.{key} must be left out, got {front[key]!r}: it is that of the encoder")
    try:
        return RepresentationConfig.model_validate({"rate": rate, "samples": n_samples, **front})
    except ValidationError as error:
        raise EarmarkError(f"front: {in_one_line(error)}") from None


@cache
def _limited_memory() -> None:
    """Let all sessions of this process take no more memory than is free now: beyond it the system would kill it."""
    import onnxruntime as ort

    kind = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(kind, ort.OrtArenaCfg({"max_mem": memory.available()}))


def _within(limit: float | None, session: Any, names: list[str], given: Mapping[str, NDArray[np.float32]]) -> Any:
    """Run a session for at most ``limit`` seconds. Raises EarmarkError if they are over."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = _FATAL
    over = threading.Event()

    def stop() -> None:
        over.set()
        options.terminate = True

    watch = threading.Timer(limit or 0.0, stop)
    watch.daemon = True
    if limit is not None:
        watch.start()
    try:
        return session.run(names, given, options)
    except Exception:
        if over.is_set():
            raise EarmarkError(f"a window of silence took more than {limit:g} s: a loop without end?") from None
        raise
    finally:
        watch.cancel()


def _session(file: Path, content: bytes) -> Any:
    import onnxruntime

    onnx_graph.require_whole(file, content)
    _limited_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.log_severity_level = _FATAL  # an error is raised, and so told
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are not public
        version = onnxruntime.__version__
        raise EarmarkError(f"{file} is no model that onnxruntime {version} can read: {_in_short(error)}") from None


def _in_short(error: Exception) -> str:
    """Return the text of an error of onnxruntime without its place in the C++ sources."""
    return re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])", " ", " ".join(str(error).split()))[:500]
