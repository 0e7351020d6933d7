"""An ONNX model as an encoder, run by onnxruntime: any of its outputs, and any tensor within it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import representations
from earmark.config import RepresentationConfig
from earmark.encoders import windows
from earmark.errors import EarmarkError
from earmark.representations.base import Representation
from earmark.representations.encoder import Backend
from earmark.sections import near

INNER_SHOWN = 12  # inner tensors that an error names: there may be thousands


class Onnx(Backend):
    """A session of a model with one input: the wave, or the features of ``front``."""

    def __init__(
        self, session: Any, layer: str, front: Representation | None, rate: int, n_samples: int, hop: int | None
    ) -> None:
        super().__init__()
        self.session, self.layer, self.front = session, layer, front
        (self.input,) = session.get_inputs()
        length = n_samples if front is None else front.n_frames
        self.axis, self.rank = _time_axis(self.input.shape, front), len(self.input.shape)
        size = self.input.shape[self.axis]
        self.window = size if isinstance(size, int) else length
        step = 1 / rate if front is None else float(front.axes["seconds_per_frame"])
        self.hop = self.window if hop is None else max(1, round(hop / rate / step))
        self.seconds, self.unseen = self.hop * step, windows.unseen(length, self.window, self.hop)
        one = (1, self.window) if front is None else (1, self.window, front.n_dims)
        _, frames, dims = self._run(np.zeros(one, np.float32)).shape
        self.shape = windows.count(length, self.window, self.hop), frames, dims
        inside = 4 * n_samples if front is None else front.bytes_per_clip
        self.bytes_per_clip = inside + 64 * 4 * n_samples  # a guess: onnxruntime does not tell what it takes

    def forward(self, wave: Tensor) -> Tensor:
        """Return (batch, windows, frames, dims) of the layer for ``wave`` (batch, n_samples)."""
        heard = wave if self.front is None else self.front(wave)
        cuts = windows.cut(heard, self.window, self.hop)
        one = isinstance(self.input.shape[0], int)
        parts = [self._run(part.cpu().numpy()) for part in windows.parts(cuts, 1 if one else windows.AT_ONCE)]
        return windows.together(torch.from_numpy(np.concatenate(parts)), cuts).to(wave.device)

    def _run(self, cuts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (cuts, frames, dims) for cuts of the wave (cuts, window) or of features (cuts, window, dims)."""
        if self.front is None:
            cuts = cuts.reshape(len(cuts), *(cuts.shape[1] if a == self.axis else 1 for a in range(1, self.rank)))
        elif self.axis == 2:
            cuts = cuts.swapaxes(1, 2)
        try:
            (found,) = self.session.run([self.layer], {self.input.name: np.ascontiguousarray(cuts)})
        except Exception as error:  # its classes are not public
            raise EarmarkError(f"onnxruntime: {_in_short(error)}") from None
        if found.dtype.kind != "f" or found.ndim < 2 or len(found) != len(cuts):
            raise EarmarkError(
                f"layer {self.layer!r} must give (windows, frames, dims) of float for {len(cuts)} windows, got "
                f"{found.shape} {found.dtype}"
            )
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
    file: Path, rate: int, n_samples: int, layer: str | None, hop: int | None, front: Mapping[str, Any] | None
) -> Onnx:
    """Return the encoder of an ONNX file.

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
    if layer is not None and layer not in outputs:
        session = _session(file, _with_output(file, layer, outputs))
    heard = None
    if front is not None:
        heard = representations.of(RepresentationConfig(rate=rate, samples=n_samples, **dict(front)), "front")
    try:
        return Onnx(session, layer or outputs[0], heard, rate, n_samples, hop)
    except EarmarkError as error:
        raise EarmarkError(f"{file}: {error}") from None


def _session(file: Path, content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are not public
        version = onnxruntime.__version__
        raise EarmarkError(f"{file} is no model that onnxruntime {version} can read: {_in_short(error)}") from None


def _with_output(file: Path, layer: str, outputs: list[str]) -> bytes:
    """Return the model with an inner tensor as one more output. Raises EarmarkError if it has no such tensor."""
    if importlib.util.find_spec("onnx") is None:
        raise EarmarkError(
            f"layer must be one of {', '.join(outputs)}, got {layer!r}; for layers within {file}: `pip install onnx`"
        )
    import onnx

    model = onnx.load_model_from_string(file.read_bytes())
    inner = [name for node in model.graph.node for name in node.output if name]
    if layer not in inner:
        some = ", ".join(inner[:INNER_SHOWN])
        raise EarmarkError(
            f"layer must be one of the outputs of {file} ({', '.join(outputs)}) or one of its {len(inner)} inner "
            f"tensors ({some}, ...), got {layer!r}{near(layer, [*outputs, *inner])}"
        )
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(layer))
    return model.SerializeToString()


def _in_short(error: Exception) -> str:
    """Return the text of an error of onnxruntime without its place in the C++ sources."""
    return re.sub(r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])", " ", " ".join(str(error).split()))[:500]
