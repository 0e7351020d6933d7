"""A model of earmark as an encoder: its own representation, its network, and any of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from earmark import representations
from earmark.encoders import windows
from earmark.errors import EarmarkError
from earmark.models import networks
from earmark.models.saved import SavedModel
from earmark.representations.encoder import Backend
from earmark.sections import near

LOGITS = "logits"


class Saved(Backend):
    """The network of a saved model, on windows of as many frames as it was trained on."""

    def __init__(self, model: SavedModel, n_samples: int, layer: str | None, hop: int | None) -> None:
        super().__init__()
        heard = model.representation.model_copy(update={"samples": n_samples})
        self.transform = representations.of(heard)
        self.network, self.layer, self.window = model.build(), layer, model.network_frames
        frame = float(self.transform.axes["seconds_per_frame"])
        self.hop = self.window if hop is None else max(1, round(hop / heard.rate / frame))
        self.seconds = self.hop * frame
        self.register_buffer("mean", torch.from_numpy(model.standardizer.mean), persistent=False)
        self.register_buffer("inverse_std", torch.from_numpy(model.standardizer.inverse_std), persistent=False)
        self.taken: Tensor | None = None
        if layer not in (None, LOGITS):
            layers = dict(self.network.named_modules())
            layers.pop("")
            if layer not in layers:
                raise EarmarkError(
                    f"layer must be {LOGITS} or one of {', '.join(layers)}, got {layer!r}{near(str(layer), layers)}"
                )
            layers[str(layer)].register_forward_hook(self._take)
        sizes: list[int] = []
        hooks = [m.register_forward_hook(lambda _, __, out: sizes.append(_bytes(out))) for m in self.network.modules()]
        with torch.no_grad():
            _, frames, dims = self._layer_of(torch.zeros(2, self.window, self.transform.n_dims)).shape
        for hook in hooks:
            hook.remove()
        self.unseen = windows.unseen(self.transform.n_frames, self.window, self.hop)
        number = windows.count(self.transform.n_frames, self.window, self.hop)
        self.shape = number, frames, dims
        self.bytes_per_clip = self.transform.bytes_per_clip + sum(sizes) // 2 * min(number, windows.AT_ONCE)

    def forward(self, wave: Tensor) -> Tensor:
        """Return (batch, windows, frames, dims) of the layer for ``wave`` (batch, n_samples)."""
        features = (self.transform(wave) - self.mean) * self.inverse_std
        cuts = windows.cut(features, self.window, self.hop)
        parts = [self._layer_of(part) for part in windows.parts(cuts)]
        return windows.together(torch.cat(parts), cuts)

    def _layer_of(self, cuts: Tensor) -> Tensor:
        """Return (cuts, frames, dims) of the layer for cuts (cuts, window, dims of the representation)."""
        if self.layer is None:
            return networks.embed(self.network, cuts).flatten(1).unsqueeze(1)
        logits: Tensor = self.network(cuts)
        if self.layer == LOGITS:
            return logits.unsqueeze(1)
        if self.taken is None:
            raise EarmarkError(f"layer {self.layer!r} is not run by the network")
        taken, self.taken = self.taken, None
        return _frames_first(taken, self.window)

    def _take(self, _: nn.Module, __: object, output: Any) -> None:
        self.taken = output[0] if isinstance(output, tuple) else output


def _frames_first(output: Tensor, window: int) -> Tensor:
    """Return the output of a layer as (batch, frames, dims).

    Of (batch, dims) it is one frame. Of more axes, the one of ``window`` is time; if none or several are, it is that of
    recurrent layers, (batch, frames, units), or that of convolutions, (batch, channels, frames, bands).
    """
    if output.dim() == 2:
        return output.unsqueeze(1)
    axes = [axis for axis in range(1, output.dim()) if output.shape[axis] == window]
    time = axes[0] if len(axes) == 1 else 2 if output.dim() == 4 else 1
    return output.movedim(time, 1).flatten(2)


def _bytes(output: Any) -> int:
    tensors = output if isinstance(output, tuple) else (output,)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, Tensor))


def read(
    file: Path, rate: int, n_samples: int, layer: str | None, hop: int | None, front: Mapping[str, Any] | None
) -> Saved:
    """Return the encoder of a model's file.

    Raises EarmarkError if the file is no model of earmark, is damaged, hears another rate, or has no such layer.
    """
    model = SavedModel.load(file)
    if front is not None:
        raise EarmarkError(f"front must be left out: {file} brings its own, {model.representation.kind}")
    if model.representation.rate != rate:
        raise EarmarkError(f"rate must be {model.representation.rate} Hz, which {file} hears, got {rate} Hz")
    return Saved(model, n_samples, layer, hop)
