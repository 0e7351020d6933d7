"""The recurrent taggers of Song et al. 2018: stacked layers, and the tags from the last time step of the top one."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from earmark.models.layers.cells import BatchNormLSTM, PaperGRU, PaperLSTM, StepLayer
from earmark.models.layers.fused import fused_rnn

Cell = Literal["gru", "gru-paper", "lstm", "lstm-paper", "bn-lstm"]


class Recurrent(nn.Module):
    """Stacked recurrent layers; the last time step of the top layer gives the tags (Song et al. 2018, Fig. 3).

    cell:
        ``gru``, ``lstm``: torch's fused layers, the fast choice on a GPU. A GRU resets after the recurrent product.
        ``gru-paper``: the paper's Eq. 9, which resets before it. The number of parameters is the same.
        ``lstm-paper``: an LSTM step by step, the equations of ``lstm``.
        ``bn-lstm``: recurrent batch norm (Cooijmans et al. 2016).
    keep: the paper's "dropout 0.75", TensorFlow's probability to keep. The last three cells drop candidate updates
        within the layer ("recurrent dropout without memory loss", Semeniuta et al. 2016), as the paper does. The
        fused layers cannot: they drop the outputs between layers instead.
    transposed: take the dims as the time axis and the frames as inputs, as the paper's mel and CQT baselines did
        (their printed counts fit no other reading). ``frames`` is then fixed, and any number of dims will do.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        cell: Cell = "gru",
        layers: int = 5,
        units: int = 512,
        keep: float = 0.75,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        if cell not in get_args(Cell):
            raise ValueError(f"cell must be one of {', '.join(get_args(Cell))}, got {cell!r}")
        self.transposed = transposed
        steps, inputs = (dims, frames) if transposed else (frames, dims)
        for name, size in (("frames", frames), ("dims", dims)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}: there is nothing to read")
        self.stack: nn.RNNBase | nn.Sequential
        if cell in ("gru", "lstm"):
            kind: Literal["gru", "lstm"] = "gru" if cell == "gru" else "lstm"
            self.stack = fused_rnn(kind, inputs, units, layers=layers, dropout=1.0 - keep)
        else:
            sizes = (inputs, *[units] * (layers - 1))
            self.stack = nn.Sequential(*[_layer(cell, size, units, steps, keep) for size in sizes])
        self.output = nn.Linear(units, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, dims) -> logits (batch, n_tags)."""
        sequence = features.transpose(1, 2) if self.transposed else features
        if isinstance(self.stack, nn.RNNBase):
            last = self.stack(sequence)[0][:, -1]
        else:
            last = self.stack(sequence.transpose(0, 1))[-1]
        return self.output(last)


def _layer(cell: Cell, inputs: int, units: int, steps: int, keep: float) -> StepLayer:
    """One layer of a step-by-step stack."""
    if cell == "bn-lstm":
        return BatchNormLSTM(inputs, units, steps, keep=keep)
    layer = PaperGRU if cell == "gru-paper" else PaperLSTM
    return layer(inputs, units, keep=keep)


def build(n_tags: int, frames: int, dims: int, **options: object) -> nn.Module:
    """Build a ``Recurrent`` network: (batch, frames, dims) -> logits (batch, n_tags)."""
    return Recurrent(n_tags, frames, dims, **options)  # type: ignore[arg-type]
