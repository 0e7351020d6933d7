"""A model of earmark as an encoder: its own representation, its network, and any of its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from earmark import representations
from earmark.encoders import choice, windows
from earmark.encoders.layers import LOGITS, LayerOutputs, frames_first, without_states
from earmark.errors import EarmarkError
from earmark.models.saved import SavedModel
from earmark.representations import scripts
from earmark.representations.encoder import Backend, Layers

# Modules that follow a layer in a sequence and belong to it, by the modules of torch that they come from.
FOLLOWING = ("activation", "batchnorm", "dropout", "normalization", "pooling")
Output = tuple[str, nn.Module, Tensor]


class Saved(Backend):
    """The network of a saved model, on windows of as many frames as it was trained on."""

    def __init__(self, model: SavedModel, n_samples: int, layers: Sequence[str | None], hop: int | None) -> None:
        super().__init__()
        heard = model.representation.model_copy(update={"samples": n_samples})
        self.transform = representations.of(heard)
        self.network, self.window = model.build(), model.network_frames
        self.outputs = LayerOutputs(self.network, layers)
        frame = float(self.transform.axes["seconds_per_frame"])
        self.hop = self.window if hop is None else max(1, round(hop / heard.rate / frame))
        self.seconds = self.hop * frame
        self.register_buffer("mean", torch.from_numpy(model.standardizer.mean), persistent=False)
        self.register_buffer("inverse_std", torch.from_numpy(model.standardizer.inverse_std), persistent=False)
        sizes: list[int] = []
        hooks = [m.register_forward_hook(lambda _, __, out: sizes.append(_bytes(out))) for m in self.network.modules()]
        with torch.no_grad():
            one = [found.shape for found in self.outputs(self._silence())]
        for hook in hooks:
            hook.remove()
        self.unseen = windows.unseen(self.transform.n_frames, self.window, self.hop)
        number = windows.count(self.transform.n_frames, self.window, self.hop)
        self.shapes = [(number, frames, dims) for _, frames, dims in one]
        self.bytes_per_clip = self.transform.bytes_per_clip + sum(sizes) // 2 * min(number, windows.AT_ONCE)

    def forward(self, wave: Tensor) -> list[Tensor]:
        """Return (batch, windows, frames, dims) of each layer for ``wave`` (batch, n_samples)."""
        features = (self.transform(wave) - self.mean) * self.inverse_std
        cuts = windows.cut(features, self.window, self.hop)
        parts = [self.outputs(part) for part in windows.parts(cuts)]
        return [windows.together(torch.cat(of_layer), cuts) for of_layer in zip(*parts, strict=True)]

    def layers(self) -> Layers:
        """Return the layers that the network is made of, and the logits.

        Those are the modules that are reached through lists and sequences alone; what is inside a module of its own
        class is not among them. In a sequence, the activation, norm, pooling or dropout that follows a layer belongs to
        it. A module of ``nn.Identity`` is a name that the network gives to what comes before it. Of equal outputs there
        is one.
        """
        ran: list[Output] = []
        hooks = [m.register_forward_hook(partial(_note, ran, name)) for name, m in self.network.named_modules() if name]
        with torch.no_grad():
            logits = self.network(self._silence())
        for hook in hooks:
            hook.remove()
        outer = [output for output in ran if _is_outer(self.network, output[0])]
        kept = [output for output in _distinct(outer) if not _same(output[2], logits) and output[2].dim() > 1]
        found = {name: frames_first(value, self.window) for name, _, value in kept}
        shapes = {name: (value.shape[1], value.shape[2]) for name, value in found.items()}
        return choice.chosen(shapes | {LOGITS: (1, logits.shape[1])}, [LOGITS])

    def _silence(self) -> Tensor:
        """Return two windows of zeros."""
        return torch.zeros(2, self.window, self.transform.n_dims)


def _note(ran: list[Output], name: str, module: nn.Module, _: object, output: Any) -> None:
    """Add what a module gives, as a forward hook; of one that runs several times the last."""
    value = without_states(output)
    if isinstance(value, Tensor) and value.is_floating_point():
        ran[:] = [other for other in ran if other[0] != name]
        ran.append((name, module, value))


def _is_outer(network: nn.Module, name: str) -> bool:
    """Tell whether a module is a layer by itself: in no module but lists and sequences, and the last of its layer."""
    *above, last = name.split(".")
    parents = [network.get_submodule(".".join(above[: i + 1])) for i in range(len(above))]
    if not all(isinstance(parent, nn.Sequential | nn.ModuleList) for parent in parents):
        return False
    parent = parents[-1] if parents else network
    if not isinstance(parent, nn.Sequential):
        return True
    names = list(dict(parent.named_children()))
    after = names[names.index(last) + 1 :]
    return not after or not _follows(parent.get_submodule(after[0]))


def _follows(module: nn.Module) -> bool:
    kind = type(module).__module__
    return kind.startswith("torch.nn.modules.") and kind.rpartition(".")[2] in FOLLOWING


def _distinct(outputs: list[Output]) -> list[Output]:
    """Return outputs of which no two are the same tensor: that of an identity is kept, or else of the shortest name."""

    def rank(output: Output) -> tuple[bool, int]:
        return not isinstance(output[1], nn.Identity), len(output[0])

    best = [min((o for o in outputs if _same(o[2], output[2])), key=rank)[0] for output in outputs]
    return [output for output, name in zip(outputs, best, strict=True) if output[0] == name]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape


def _bytes(output: Any) -> int:
    tensors = output if isinstance(output, tuple) else (output,)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, Tensor))


def read(
    file: Path,
    rate: int,
    n_samples: int,
    layers: Sequence[str | None],
    hop: int | None,
    front: Mapping[str, Any] | None,
) -> Saved:
    """Return the encoder of a model's file; None among ``layers`` is what enters the last linear layer, alone.

    Raises EarmarkError if the file is no model of earmark, is damaged, hears another rate or through a Python file that
    params.yaml does not name, or has no such layer.
    """
    model = SavedModel.load(file)
    if front is not None:
        raise EarmarkError(f"front must be left out: {file} brings its own, {model.representation.kind}")
    if model.representation.rate != rate:
        raise EarmarkError(f"rate must be {model.representation.rate} Hz, which {file} hears, got {rate} Hz")
    if model.representation.kind == "joint" and model.representation.samples != n_samples:  # its frames share a clip
        raise EarmarkError(
            f"samples must be {model.representation.samples}, as {file} was trained on so many frames per clip, "
            f"got {n_samples}"
        )
    scripts.require_own(model.representation, str(file))
    return Saved(model, n_samples, layers, hop)
