"""Recurrent layers that run step by step, for the equations that torch's fused layers do not offer.

All of them map (frames, batch, inputs) to (frames, batch, units), and start from zero states. A single matrix product
computes what the input contributes to all steps, so that only the recurrent products are in the loop. On two CPU cores
this is as fast as ``torch.nn.GRU``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from earmark.models.layers.initializers import initialize_input, initialize_recurrent
from earmark.models.layers.step_norm import StepNorm


def candidate_masks(gates: Tensor, units: int, keep: float) -> Tensor:
    """Return a mask per time step of "recurrent dropout without memory loss" (Semeniuta et al. 2016, Eqs. 9 and 14).

    They multiply the candidate update and not the state, so that the memory loses nothing. Kept values are divided by
    ``keep``. gates: (frames, batch, ...) -> (frames, batch, units).
    """
    return F.dropout(gates.new_ones(*gates.shape[:2], units), 1.0 - keep)


class StepLayer(nn.Module):
    """What the cells share: for each gate, weights for the input and a bias.

    They are initialised like those of the fused layers.
    """

    def kernels(self) -> Sequence[Sequence[Tensor]]:
        """Return the kernels as TensorFlow's cells have them, each as the parts of it that are kept here."""
        raise NotImplementedError

    def __init__(self, inputs: int, units: int, gates: int, keep: float) -> None:
        super().__init__()
        self.units = units
        self.keep = keep
        weight = torch.empty(gates * units, inputs)
        initialize_input(weight, gates)
        self.input_weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(gates * units))

    def _recurrent(self, gates: int) -> nn.Parameter:
        """Return new weights of ``gates`` gates for the state."""
        weight = torch.empty(gates * self.units, self.units)
        initialize_recurrent(weight, gates)
        return nn.Parameter(weight)

    def _masks(self, gates: Tensor) -> Tensor | None:
        """Return dropout masks of the candidate in training, else None."""
        return candidate_masks(gates, self.units, self.keep) if self.training and self.keep < 1.0 else None


class PaperGRU(StepLayer):
    """The gated recurrent unit of Song et al. 2018, Eq. 9: the reset gate acts before the recurrent product.

        z_t = sigmoid(W_z [x_t, h_{t-1}] + b_z)        r_t = sigmoid(W_r [x_t, h_{t-1}] + b_r)
        g_t = tanh(W_g [x_t, r_t * h_{t-1}] + b_g)     h_t = (1 - z_t) * h_{t-1} + z_t * d(g_t)

    d is recurrent dropout. ``torch.nn.GRU`` resets after the product, W_g x_t + r_t * (U_g h_{t-1} + b), and so needs
    one product per step instead of two. The rows of the weights are r, z, g.
    """

    def __init__(self, inputs: int, units: int, *, keep: float = 1.0) -> None:
        super().__init__(inputs, units, gates=3, keep=keep)
        self.gate_weight = self._recurrent(2)
        self.candidate_weight = self._recurrent(1)
        with torch.no_grad():  # open for memory: at first little is overwritten, and hardly anything reset
            self.bias[:units] = 1.0
            self.bias[units : 2 * units] = -1.0

    def kernels(self) -> Sequence[Sequence[Tensor]]:
        """Return two kernels, of the gates and of the candidate."""
        end = 2 * self.units  # of the rows of both gates
        return [(self.input_weight[:end], self.gate_weight), (self.input_weight[end:], self.candidate_weight)]

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the states (frames, batch, units) of a sequence (frames, batch, inputs)."""
        inputs = F.linear(sequence, self.input_weight, self.bias)
        gates_end = 2 * self.units
        for_gates, for_candidate = inputs[..., :gates_end].unbind(0), inputs[..., gates_end:].unbind(0)
        masks = self._masks(inputs)
        gate_weight, candidate_weight = self.gate_weight.t(), self.candidate_weight.t()
        h = sequence.new_zeros(sequence.shape[1], self.units)
        states: list[Tensor] = []
        for t in range(sequence.shape[0]):
            r, z = torch.sigmoid(torch.addmm(for_gates[t], h, gate_weight)).chunk(2, dim=1)
            g = torch.tanh(torch.addmm(for_candidate[t], r * h, candidate_weight))
            new = g if masks is None else g * masks[t]
            h = torch.lerp(h, new.to(h.dtype), z.to(h.dtype))  # under autocast the state stays float32
            states.append(h)
        return torch.stack(states)


class PaperLSTM(StepLayer):
    """A long short-term memory with recurrent dropout d on the candidate (Semeniuta et al. 2016, Eq. 9).

        c_t = f_t * c_{t-1} + i_t * d(g_t)             h_t = o_t * tanh(c_t)

    The rows of the weights are i, f, o, g.
    """

    def __init__(self, inputs: int, units: int, *, keep: float = 1.0) -> None:
        super().__init__(inputs, units, gates=4, keep=keep)
        self.recurrent_weight = self._recurrent(4)
        with torch.no_grad():
            self.bias[units : 2 * units] = 1.0  # the forget gate starts open

    def kernels(self) -> Sequence[Sequence[Tensor]]:
        """Return one kernel for the input and the state."""
        return [(self.input_weight, self.recurrent_weight)]

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the states (frames, batch, units) of a sequence (frames, batch, inputs)."""
        inputs = F.linear(sequence, self.input_weight, self.bias)
        masks = self._masks(inputs)
        weight = self.recurrent_weight.t()
        h = c = sequence.new_zeros(sequence.shape[1], self.units)
        states: list[Tensor] = []
        for t, x in enumerate(inputs.unbind(0)):
            c, o = self._update(torch.addmm(x, h, weight), c, None if masks is None else masks[t])
            h = o * torch.tanh(c)
            states.append(h)
        return torch.stack(states)

    def _update(self, gates: Tensor, c: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the new memory and the output gate: gates (batch, 4 * units), c (batch, units)."""
        i, f, o = torch.sigmoid(gates[:, : 3 * self.units]).chunk(3, dim=1)
        g = torch.tanh(gates[:, 3 * self.units :])
        return torch.addcmul(f * c, i, g if mask is None else g * mask), o


class BatchNormLSTM(PaperLSTM):
    """A batch-normalised LSTM (Cooijmans et al. 2016, Eqs. 6-8), with recurrent dropout d on the candidate.

        (i, f, o, g) = BN(W_h h_{t-1}; gamma_h) + BN(W_x x_t; gamma_x) + b
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * d(tanh(g))
        h_t = sigmoid(o) * tanh(BN(c_t; gamma_c, beta_c))

    Each of the three norms has statistics of its own for each of the first ``frames`` time steps. They add ten
    parameters per unit: gamma_h and gamma_x (four each), gamma_c and beta_c.
    """

    def __init__(self, inputs: int, units: int, frames: int, *, keep: float = 1.0) -> None:
        super().__init__(inputs, units, keep=keep)
        self.input_norm = StepNorm(4 * units, frames, shifted=False)
        self.recurrent_norm = StepNorm(4 * units, frames, shifted=False)
        self.memory_norm = StepNorm(units, frames, shifted=True)

    def kernels(self) -> Sequence[Sequence[Tensor]]:
        """Return two kernels: what comes of the input and of the state is normalised apart."""
        return [(self.input_weight,), (self.recurrent_weight,)]

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the states (frames, batch, units) of a sequence (frames, batch, inputs)."""
        frames, batch, _ = sequence.shape
        inputs = self.input_norm.all_steps(F.linear(sequence, self.input_weight)) + self.bias
        masks = self._masks(inputs)
        normalize_recurrent = self.recurrent_norm.stepper(frames, batch)
        normalize_memory = self.memory_norm.stepper(frames, batch)
        weight = self.recurrent_weight.t()
        h = c = sequence.new_zeros(batch, self.units)
        states: list[Tensor] = []
        for t, x in enumerate(inputs.unbind(0)):
            gates = x + normalize_recurrent(torch.mm(h, weight), t)
            c, o = self._update(gates, c, None if masks is None else masks[t])
            h = o * torch.tanh(normalize_memory(c, t))
            states.append(h)
        return torch.stack(states)
