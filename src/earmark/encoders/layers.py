"""Any layers of a network of earmark, by the names of their modules: what they make of a window, as frames by dims."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from earmark.errors import EarmarkError
from earmark.models import networks
from earmark.sections import near

LOGITS = "logits"


class LayerOutputs(nn.Module):
    """Layers of a network, all out of one pass.

    names: those of modules, or ``logits``; None is what enters the last linear layer.

    Raises EarmarkError, with the names that there are, if the network has no such module.
    """

    def __init__(self, network: nn.Module, names: Sequence[str | None]) -> None:
        super().__init__()
        self.network, self.names = network, list(names)
        self.taken: dict[str | None, Tensor] = {}
        for name in self.names:
            if name is not None:
                _module(network, name).register_forward_hook(partial(self._take, name))

    def forward(self, cuts: Tensor) -> list[Tensor]:
        """Return (cuts, frames, dims) of each layer for features (cuts, window, dims of the representation).

        Raises EarmarkError if the network does not run a layer.
        """
        self.taken = {}  # without what a pass that failed has left
        if None in self.names:
            self.taken[None] = self._entering_last(cuts)
        else:
            self.network(cuts)
        taken, self.taken = self.taken, {}
        if lacking := [name for name in self.names if name not in taken]:
            raise EarmarkError(f"layer {lacking[0]!r} is not run by the network")
        return [frames_first(taken[name], cuts.shape[1]) for name in self.names]

    def _entering_last(self, cuts: Tensor) -> Tensor:
        """Run the network, and return what enters its last linear layer, (cuts, width)."""
        try:
            return networks.embed(self.network, cuts).flatten(1)
        except ValueError as error:
            raise EarmarkError(f"{error}; name a layer, or {LOGITS}") from None

    def _take(self, name: str, _: nn.Module, __: object, output: Any) -> None:
        self.taken[name] = without_states(output)


def _module(network: nn.Module, name: str) -> nn.Module:
    """Return the module that gives a layer: the network itself gives the logits."""
    if name == LOGITS:
        return network
    layers = dict(network.named_modules())
    layers.pop("")
    if name not in layers:
        raise EarmarkError(f"layer must be {LOGITS} or one of {', '.join(layers)}, got {name!r}{near(name, layers)}")
    return layers[name]


def without_states(output: Any) -> Any:
    """Return what a module gives; of a recurrent one its outputs, without the states."""
    return output[0] if isinstance(output, tuple) else output


def frames_first(output: Tensor, window: int) -> Tensor:
    """Return the output of a layer as (batch, frames, dims).

    Of (batch, dims) it is one frame. Of more axes, the one of ``window`` is time; if none or several are, it is that of
    recurrent layers, (batch, frames, units), or that of convolutions, (batch, channels, frames, bands).
    """
    if output.dim() == 2:
        return output.unsqueeze(1)
    axes = [axis for axis in range(1, output.dim()) if output.shape[axis] == window]
    time = axes[0] if len(axes) == 1 else 2 if output.dim() == 4 else 1
    return output.movedim(time, 1).flatten(2)
