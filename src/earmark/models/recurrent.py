"""The recurrent taggers of Song et al. 2018: stacked layers, of which the last step gives the tags."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from earmark.models.layers.cells import BatchNormLSTM, PaperGRU, PaperLSTM, StepLayer
from earmark.models.layers.fused import fused_kernels, fused_rnn
from earmark.models.layers.initializers import fill_glorot, start_as_tensorflow
from earmark.models.layers.options import is_positive, require, require_at_least, require_choice, require_counts

Cell = Literal["gru", "gru-paper", "lstm", "lstm-paper", "bn-lstm"]
Initialization = Literal["orthogonal", "glorot"]


class Recurrent(nn.Module):
    """Stacked recurrent layers; the last time step of the top layer gives the tags (Song et al. 2018, Fig. 3).

    cell:
        ``gru``, ``lstm``: torch's fused layers, fast on a GPU. This GRU applies its reset gate after the recurrent
        product.
        ``gru-paper``: Eq. 9 of the paper, with the reset gate before that product. It has as many parameters.
        ``lstm-paper``: the same equations as ``lstm``, step by step.
        ``bn-lstm``: an LSTM with recurrent batch norm (Cooijmans et al. 2016).
    keep: the paper's "dropout 0.75", which is TensorFlow's probability to keep a value. The last three cells drop
        candidate updates within the layer, as the paper does ("recurrent dropout without memory loss", Semeniuta et al.
        2016). The fused layers cannot do this: they drop the outputs between layers.
    initialization: of the weights.
        ``orthogonal``: orthogonal matrices for the state, and wide kernels for the input, so that five layers pass on
        their signal; it learns faster in the first epochs.
        ``glorot``: TensorFlow's default, Glorot's uniform kernels. Biases start the same either way.
    transposed: the dims are the time axis and the frames the inputs, as in the paper's mel and CQT baselines (only so
        are their printed numbers of parameters right). Then the number of frames is fixed, and that of dims is not.

    Raises ValueError if an option is out of its limits, or the input is empty.
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
        initialization: Initialization = "orthogonal",
        transposed: bool = False,
    ) -> None:
        super().__init__()
        require_choice("cell", cell, get_args(Cell))
        require_choice("initialization", initialization, get_args(Initialization))
        require_counts(layers=layers, units=units)
        require(is_positive(keep) and keep <= 1, "keep", "be in (0, 1]", keep, "the share that is kept")
        require(isinstance(transposed, bool), "transposed", "be true or false", transposed)
        for name, size in (("frames", frames), ("dims", dims)):
            require_at_least(name, size, 1, "there is nothing to read")
        self.transposed = transposed
        steps, inputs = (dims, frames) if transposed else (frames, dims)
        self.stack: nn.RNNBase | nn.Sequential
        if cell in ("gru", "lstm"):
            kind: Literal["gru", "lstm"] = "gru" if cell == "gru" else "lstm"
            self.stack = fused_rnn(kind, inputs, units, layers=layers, dropout=1.0 - keep)
        else:
            sizes = (inputs, *[units] * (layers - 1))
            self.stack = nn.Sequential(*[_layer(cell, size, units, steps, keep) for size in sizes])
        self.output = nn.Linear(units, n_tags)
        if initialization == "glorot":
            self._start_as_tensorflow()

    @torch.no_grad()
    def _start_as_tensorflow(self) -> None:
        kernels = [parts for layer in self.modules() if isinstance(layer, StepLayer) for parts in layer.kernels()]
        kernels += fused_kernels(self.stack) if isinstance(self.stack, nn.RNNBase) else []
        for parts in kernels:
            fill_glorot(*parts)
        start_as_tensorflow(self.output)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        sequence = features.transpose(1, 2) if self.transposed else features
        if isinstance(self.stack, nn.RNNBase):
            last = self.stack(sequence)[0][:, -1]
        else:
            last = self.stack(sequence.transpose(0, 1))[-1]
        return self.output(last)


def _layer(cell: Cell, inputs: int, units: int, steps: int, keep: float) -> StepLayer:
    """Return a layer that runs step by step."""
    if cell == "bn-lstm":
        return BatchNormLSTM(inputs, units, steps, keep=keep)
    layer = PaperGRU if cell == "gru-paper" else PaperLSTM
    return layer(inputs, units, keep=keep)


build = Recurrent
