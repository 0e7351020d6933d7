"""Batch normalisation of a sequence, with statistics of its own for every time step (Cooijmans et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Stepper = Callable[[Tensor, int], Tensor]


class StepNorm(nn.Module):
    """Batch norm with statistics per time step; all steps share scale and shift.

    The scale starts at 0.1 (Cooijmans et al., Sec. 4): with 1, tanh saturates and gradients vanish. The running
    statistics are a plain mean over the first ten batches and an exponential one (momentum 0.1) after these, so that
    their initial values do not matter.

    In evaluation, the steps after the last one that training has seen use the statistics of that one: so far into a
    clip they hardly change from step to step. In training, the steps after the first ``frames`` are normalised by the
    batch, and their statistics are not kept. shifted: whether there is a shift.
    """

    running_mean: Tensor
    running_var: Tensor
    batches: Tensor
    seen: Tensor

    def __init__(self, channels: int, frames: int, *, shifted: bool, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.full((channels,), 0.1))
        self.bias = nn.Parameter(torch.zeros(channels)) if shifted else None
        self.register_buffer("running_mean", torch.zeros(frames, channels))
        self.register_buffer("running_var", torch.ones(frames, channels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self._counted: int | None = None  # `batches`, of which a GPU would have to be asked, and waited for

    def all_steps(self, sequence: Tensor) -> Tensor:
        """Normalise a sequence (frames, batch, channels), each time step by its own statistics."""
        frames, batch, channels = sequence.shape
        if not self.training:
            scale, shift = self._affine(frames)
            return torch.addcmul(shift.unsqueeze(1), sequence, scale.unsqueeze(1))
        momentum = self._start(frames, batch)
        kept = min(frames, len(self.running_mean))
        parts: list[Tensor] = []
        # A norm over steps * channels columns is a norm over the channels of every step.
        for part, rows in ((sequence[:kept], slice(0, kept)), (sequence[kept:], None)):
            if len(part):
                columns = part.transpose(0, 1).reshape(batch, -1)
                normalized = self._batch_norm(columns, rows, momentum, repeats=len(part))
                parts.append(normalized.view(batch, len(part), channels).transpose(0, 1))
        return torch.cat(parts)

    def stepper(self, frames: int, batch: int) -> Stepper:
        """Return a function that normalises (batch, channels) at a time step, for sequences of ``frames`` steps."""
        if not self.training:
            scale, shift = self._affine(frames)
            return lambda x, t: torch.addcmul(shift[t], x, scale[t])
        momentum = self._start(frames, batch)
        limit = len(self.running_mean)
        return lambda x, t: self._batch_norm(x, slice(t, t + 1) if t < limit else None, momentum)

    def _start(self, frames: int, batch: int) -> float:
        """Count a training batch; return the weight of its statistics in the running ones."""
        if batch < 2:
            raise ValueError(f"batch must be at least 2 in training, got {batch}: one clip has no variance")
        self._counted = 1 + (int(self.batches) if self._counted is None else self._counted)
        self.batches += 1
        self.seen.clamp_(min=min(frames, len(self.running_mean)))
        return max(self.momentum, 1.0 / self._counted)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._counted = None
        super()._load_from_state_dict(*arguments)

    def _batch_norm(self, x: Tensor, rows: slice | None, momentum: float, repeats: int = 1) -> Tensor:
        """Normalise (batch, repeats * channels) by the batch, and update the statistics of the time steps ``rows``."""
        mean, var = (
            (None, None) if rows is None else (self.running_mean[rows].view(-1), self.running_var[rows].view(-1))
        )
        weight = self.weight.repeat(repeats)
        bias = None if self.bias is None else self.bias.repeat(repeats)
        return F.batch_norm(x, mean, var, weight, bias, training=True, momentum=momentum, eps=self.eps)

    def _affine(self, frames: int) -> tuple[Tensor, Tensor]:
        """Return the scale and the shift, (frames, channels) each, that apply the running statistics."""
        last = self.seen.clamp(min=1) - 1
        steps = torch.arange(frames, device=last.device).clamp(max=last)
        scale = self.weight * torch.rsqrt(self.running_var[steps] + self.eps)
        shift = -self.running_mean[steps] * scale
        return scale, shift if self.bias is None else shift + self.bias
