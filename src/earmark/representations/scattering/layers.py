"""What a scattering transform does to signals: U = |x * psi| and S = U * phi, for both orders.

The filters of an order whose outputs are equally long are computed together. The buffer "signal" holds whatever real
signal is at work: the padded clips, then U1, then U2, each of which is done with when the next one comes.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from earmark.representations.buffers import Buffers
from earmark.representations.scattering.filters import Band, Filters, stacked
from earmark.representations.scattering.plan import Extension, Shape
from earmark.representations.spectrum import Floats, fold, interleave, modulus, rfft, window

MAX_TAPS = 16  # blocks of a low pass beyond which it is applied to the spectrum
FAR = 8  # an output this many times shorter than its input is computed for all clips at once


class Mirror:
    """Fills the margins of signals laid out by an `Extension`, in place."""

    def __init__(self, extension: Extension) -> None:
        self.extension = extension
        self.runs = extension.runs()

    def fill_(self, u: Tensor) -> Tensor:
        """Overwrite all but the signal in `u` (..., total) by its symmetric continuation."""
        for to, start, length, backward in self.runs:
            piece = u[..., start : start + length]
            u[..., to : to + length] = piece.flip(-1) if backward else piece
        return u

    def extend(self, wave: Tensor, out: Tensor) -> Tensor:
        """Lay `wave` (..., n) out in `out` (..., total) and continue it symmetrically."""
        out[..., self.extension.lead : self.extension.lead + self.extension.n] = wave
        return self.fill_(out)


class LowPass(nn.Module):
    """Averages signals of M samples by a low pass and keeps every `step`-th sample, from `first` on, `frames` of them.

    The kernel is short against the signal, so that if it covers few blocks of `step` samples it is applied
    in time: blocks times a (taps, step) matrix, then a sum along the diagonals. Elsewhere it is applied to
    the spectrum, whose few bins are folded to M / step.
    """

    kernel: Tensor | None
    weights: Tensor

    def __init__(
        self, band: Band, M: int, step: int, first: int, frames: int, gain: float, tail: float, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.M, self.step, self.first, self.frames, self.L = M, step, first, frames, M // step
        aligned = band.trim(tail * 1e-2).aligned(self.L)
        self.low, self.high = aligned.start, aligned.stop
        self.register_buffer("weights", interleave(gain * aligned.values, dtype), persistent=False)
        kernel = self._kernel(band, gain * step, tail)
        self.register_buffer("kernel", None if kernel is None else torch.tensor(kernel, dtype=dtype), persistent=False)

    def _kernel(self, band: Band, gain: float, tail: float) -> Floats | None:
        """Return the impulse response as (taps, step), or None if it is too long or the margins are too short."""
        spectrum = np.zeros(self.M)
        np.add.at(spectrum, np.arange(band.start, band.stop) % self.M, band.values)
        h = gain * np.fft.ifft(spectrum).real
        blocks = h[-np.arange(self.M)].reshape(self.L, self.step)  # row b, column i: the weight of sample b step + i
        mass = np.abs(blocks).sum(axis=1)
        reach = 1
        while mass[reach : self.L - reach].sum() > tail * mass.sum():
            reach += 1
        fits = reach <= self.first and self.first + self.frames + reach - 1 <= self.L
        return np.roll(blocks, reach, axis=0)[: 2 * reach] if fits and 2 * reach <= MAX_TAPS else None

    def of_signal(self, u: Tensor) -> Tensor:
        """Average `u`, contiguous (batch, filters, M), to (batch, filters, frames)."""
        if self.kernel is None:
            return self.of_spectrum(rfft(u))
        batch, filters, taps = *u.shape[:2], len(self.kernel)
        blocks = u.view(batch, filters * self.L, self.step)
        partial = torch.bmm(self.kernel.expand(batch, -1, -1), blocks.transpose(1, 2))
        rows = partial.shape[2]
        size, stride = (batch, taps, filters, self.frames), (taps * rows, rows + 1, self.L, 1)
        shifted: Tensor = partial.as_strided(size, stride, self.first - taps // 2)
        return shifted.sum(1)

    def of_spectrum(self, half: Tensor) -> Tensor:
        """Average the signals of which `half` (..., M // 2 + 1) is the rfft, to (..., frames)."""
        shape = half.shape[:-1]
        bins = window(half, self.M, self.low, self.high, half.new_empty(*shape, self.high - self.low))
        folded = fold(bins, 0, self.weights, half.new_empty(*shape, self.L))
        averaged: Tensor = torch.fft.ifft(folded).real
        return averaged[..., self.first : self.first + self.frames]


class LowPasses(dict[int, LowPass]):
    """The low pass phi for signals of each resolution, built when first asked for."""

    def __init__(self, filters: Filters, dtype: torch.dtype) -> None:
        super().__init__()
        self.filters, self.dtype = filters, dtype

    def __missing__(self, r: int) -> LowPass:
        self[r] = self.build(self.filters.plan.phi, r)
        return self[r]

    def build(self, shape: Shape, r: int) -> LowPass:
        """Return the low pass of that shape for signals at resolution r."""
        plan = self.filters.plan
        band, gain = self.filters.low_pass(shape, r), plan.gain(plan.last_resolution - r)
        tail = 1e-8 if plan.exact else 1e-6
        return LowPass(band, plan.total >> r, plan.hop >> r, plan.first, plan.n_frames, gain, tail, self.dtype)


class SecondOrder(nn.Module):
    """One wavelet of the second bank after the filters `low..high-1` of a group of the first bank.

    row: where its first coefficient stands among the group's.
    """

    weights: Tensor

    def __init__(
        self, filters: Filters, j: int, low: int, high: int, r1: int, row: int, phis: LowPasses, dtype: torch.dtype
    ) -> None:
        super().__init__()
        plan = filters.plan
        r = plan.resolution(plan.second_bank.psi[j], r1)
        M, self.L = plan.total >> r1, plan.total >> r
        band = filters.second[j].on(M, wrap=plan.wrap)
        self.start, self.stop, self.low, self.high, self.row = band.start, band.stop, low, high, row
        weights = interleave(plan.gain(r - r1) * band.values, dtype)
        self.register_buffer("weights", weights, persistent=False)
        self.phi = phis[r]
        self.mirror = Mirror(plan.extension(r)) if plan.crop else None

    def forward(self, bins: Tensor, origin: int, buffers: Buffers) -> Tensor:
        """Return S2 (batch, high - low, frames) for U1's spectrum `bins` (batch, K, ...) from bin `origin` on."""
        shape = (bins.shape[0], self.high - self.low, self.L)
        bands = fold(bins[:, self.low : self.high], self.start - origin, self.weights, buffers.complex("bands", *shape))
        u = modulus(torch.fft.ifft(bands), buffers.real("signal", *shape))
        return self.phi.of_signal(self.mirror.fill_(u) if self.mirror else u)


def reach(wavelets: list[SecondOrder]) -> tuple[int, int]:
    """Return the range of bins that the wavelets need, end excluded."""
    return min((w.start for w in wavelets), default=0), max((w.stop for w in wavelets), default=0)


def runs(indices: list[int]) -> list[tuple[int, int]]:
    """Return the maximal ranges (low, high) of consecutive integers, high excluded, in increasing `indices`."""
    edges = [i for i, (a, b) in enumerate(itertools.pairwise(indices), 1) if b != a + 1]
    bounds = [0, *edges, len(indices)]
    return [(indices[a], indices[b - 1] + 1) for a, b in itertools.pairwise(bounds) if a < b]


class FilterGroup(nn.Module):
    """The filters `ks` of the first bank, whose outputs share one resolution, and all pairs that start from them."""

    weights: Tensor

    def __init__(self, filters: Filters, ks: list[int], order: int, phis: LowPasses, dtype: torch.dtype) -> None:
        super().__init__()
        plan = filters.plan
        r = plan.resolution(plan.first_bank.psi[ks[0]])
        self.L, self.K = plan.total >> r, len(ks)
        self.starts, rows = stacked([filters.first[k] for k in ks])
        weights = interleave(plan.gain(r) * rows, dtype)
        self.register_buffer("weights", weights, persistent=False)
        self.phi = phis[r]
        self.mirror = Mirror(plan.extension(r)) if plan.crop else None
        self.keys: list[tuple[int, ...]] = [(k,) for k in ks]
        self.second = list[SecondOrder]()
        for j in range(len(plan.second_bank.psi)) if order == 2 else ():
            followed = [i for i, k in enumerate(ks) if j in plan.pairs(k)]
            for low, high in runs(followed):
                self.second.append(SecondOrder(filters, j, low, high, r, len(self.keys), phis, dtype))
                self.keys += [(k, j) for k in ks[low:high]]
        self.near = [wavelet for wavelet in self.second if wavelet.L * FAR > self.L]
        self.far = [wavelet for wavelet in self.second if wavelet.L * FAR <= self.L]
        self.moved = nn.ModuleList(self.second)  # what `.to` moves

    def forward(self, bins: Tensor, origin: int, out: Tensor, buffers: Buffers, tile: int) -> None:
        """Write S1 and S2, in the order of `keys`, to `out` (batch, paths, frames).

        bins: the clips' spectrum (batch, ...) from bin `origin` on. tile: complex samples to process at once.
        The outputs much shorter than U1 wait until all clips are there.
        """
        low, high = reach(self.far)
        far = buffers.complex("far", len(bins), self.K, high - low)
        step = max(1, tile // (self.K * self.L))
        for i in range(0, len(bins), step):
            half = self._first(bins[i : i + step], origin, out[i : i + step], buffers)
            if self.far:
                window(half, self.L, low, high, far[i : i + step])
            if self.near:
                low1, high1 = reach(self.near)
                near = buffers.complex("near", len(half), self.K, high1 - low1)
                self._second(self.near, window(half, self.L, low1, high1, near), low1, out[i : i + step], buffers)
        if self.far:
            step = max(1, tile // (self.K * self.far[0].L))
            for i in range(0, len(bins), step):
                self._second(self.far, far[i : i + step], low, out[i : i + step], buffers)

    def _first(self, bins: Tensor, origin: int, out: Tensor, buffers: Buffers) -> Tensor:
        """Write S1 and return the half spectrum of U1 (batch, K, L // 2 + 1)."""
        shape = (len(bins), self.K, self.L)
        bands = buffers.complex("bands", *shape)
        for k, start in enumerate(self.starts):
            fold(bins, start - origin, self.weights[k], bands[:, k])
        u = modulus(torch.fft.ifft(bands), buffers.real("signal", *shape))
        half = rfft(self.mirror.fill_(u) if self.mirror else u)
        out[:, : self.K] = self.phi.of_spectrum(half)
        return half

    def _second(self, wavelets: list[SecondOrder], bins: Tensor, origin: int, out: Tensor, buffers: Buffers) -> None:
        for wavelet in wavelets:
            out[:, wavelet.row : wavelet.row + wavelet.high - wavelet.low] = wavelet.forward(bins, origin, buffers)
