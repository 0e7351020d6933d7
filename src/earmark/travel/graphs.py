"""A saved model as a graph for runtimes without earmark: ONNX, or torch's own exported program."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.errors import EarmarkError
from earmark.files import write_bytes
from earmark.models.saved import SavedModel
from earmark.representations.buffers import as_on_a_gpu
from earmark.travel.scorer import Scorer, with_own_front, with_plain_front

OPSET = 17
TOLERANCE = 1e-4  # of a probability
_CLIPS = 2


class ExportError(EarmarkError):
    """A model that cannot be written as a graph; the text says why."""


def to_onnx(saved: SavedModel, path: Path, wave: bool = False) -> float:
    """Write a model as ONNX, run it by onnxruntime, and return how far its probabilities are from torch's at most.

    The input is ``features`` (clips, frames, dims) as the representation gives them, not standardised, or ``wave``
    (clips, samples), mono at its rate; the output is ``probabilities`` (clips, tags).

    Raises ExportError if the exporter has no operator for something in the network, if onnxruntime is not installed, or
    if the graph gives other values; the file is not written then.
    """
    module: nn.Module = with_plain_front(saved) if wave else Scorer(saved)
    given = example(saved, wave)
    name = "wave" if wave else "features"
    try:
        content = _exported(module.eval(), given[:_CLIPS], name)
    except Exception as error:
        raise ExportError(
            f"the model of {saved.experiment!r} cannot be written as ONNX: its family {saved.network['family']!r} uses "
            f"what ONNX has no operator for ({_first_line(error)})"
        ) from error
    with torch.no_grad():
        expected = module(given).numpy()
    found = _run(content, name, given.numpy())
    far = float(np.abs(found - expected).max())
    if not far <= TOLERANCE:
        raise ExportError(f"{path} is not written: onnxruntime's probabilities differ from torch's by {far:.2g}")
    write_bytes(path, content)
    return far


def to_torch(saved: SavedModel, path: Path) -> float:
    """Write a model from the wave on as a torch.export program (.pt2), and return how far it is from the model.

    Raises ExportError if something in it cannot be traced, or if the program gives other values.
    """
    module, given = with_own_front(saved).eval(), example(saved, wave=True)
    with torch.no_grad():
        expected = module(given)
    try:
        with as_on_a_gpu(), torch.no_grad(), _quiet():  # torch's operators alone: NumPy's cannot be traced
            traced = copy.deepcopy(module)  # its buffers would keep what is no tensor
            program = torch.export.export(traced, (given,), strict=False)
            held = io.BytesIO()
            torch.export.save(program, held)
            found = torch.export.load(io.BytesIO(held.getvalue())).module()(given)
    except Exception as error:
        raise ExportError(
            f"the model of {saved.experiment!r} cannot be written by torch.export: {_first_line(error)}"
        ) from error
    far = float((found - expected).abs().max())
    if not far <= TOLERANCE:
        raise ExportError(f"{path} is not written: the program's probabilities differ from the model's by {far:.2g}")
    write_bytes(path, held.getvalue())
    return far


def example(saved: SavedModel, wave: bool) -> Tensor:
    """Return clips to export and compare with: noise of the level of music, or features around their means."""
    draws = torch.Generator().manual_seed(1)
    if wave:
        return 0.1 * torch.randn(_CLIPS + 1, saved.representation.samples, generator=draws)
    fitted = saved.standardizer
    spread = np.divide(1, fitted.inverse_std, out=np.zeros_like(fitted.mean), where=fitted.inverse_std != 0)
    noise = torch.randn(_CLIPS + 1, saved.frames, saved.dims, generator=draws)
    return torch.from_numpy(fitted.mean) + noise * torch.from_numpy(spread)


def _exported(module: nn.Module, given: Tensor, name: str) -> bytes:
    """Return the file, by the exporter that needs no other package and traces what a network does."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            module, (given,), str(file), dynamo=False, opset_version=OPSET, do_constant_folding=False,
            input_names=[name], output_names=["probabilities"],
            dynamic_axes={name: {0: "clips"}, "probabilities": {0: "clips"}},
        )  # fmt: skip
        return file.read_bytes()


def _run(content: bytes, name: str, given: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what onnxruntime makes of an input."""
    try:
        import onnxruntime
    except ImportError:
        raise ExportError(
            "an ONNX file is compared with the model by onnxruntime: pip install 'earmark[onnx]'"
        ) from None
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: given})
    return np.asarray(found)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].partition("  [Caused by")[0][:200] or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes and graphs off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)  # torch.export describes every tensor to its log
    try:
        with warnings.catch_warnings(), _without_output():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _without_output() -> Iterator[None]:
    """Send what is printed to nowhere; what C++ prints does not pass through ``sys.stdout``."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
