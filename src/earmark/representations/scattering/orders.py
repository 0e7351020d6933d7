"""The two layers of a scattering transform, executed in groups of filters whose outputs are equally long."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from earmark.representations.buffers import Buffers
from earmark.representations.scattering.cascade import Cascade, stacked
from earmark.representations.scattering.wavelets import Shape
from earmark.representations.spectrum import LowPass, Mirror, fold, interleave, modulus, rfft, window

FAR = 8  # an output this many times shorter than its input is computed for all clips at once


class LowPasses(dict[int, LowPass]):
    """The low pass phi for signals of each resolution, built when first asked for."""

    def __init__(self, plan: Cascade, dtype: torch.dtype) -> None:
        super().__init__()
        self.plan, self.dtype = plan, dtype

    def __missing__(self, r: int) -> LowPass:
        self[r] = self.build(self.plan.phi, r)
        return self[r]

    def build(self, shape: Shape, r: int) -> LowPass:
        """Return the low pass of that shape for signals at resolution r."""
        plan, M = self.plan, self.plan.total >> r
        band, gain = plan.low_pass(shape).on(M, wrap=plan.wrap), plan.gain(plan.last_resolution - r)
        tail = 1e-8 if plan.exact else 1e-6
        return LowPass(band, M, plan.hop >> r, plan.first, plan.n_frames, gain, tail, self.dtype)


class SecondOrder(nn.Module):
    """One wavelet of the second bank after the filters `low..high-1` of a group of the first bank.

    row: where its first coefficient stands among the group's.
    """

    weights: Tensor

    def __init__(
        self, plan: Cascade, j: int, low: int, high: int, r1: int, row: int, phis: LowPasses, dtype: torch.dtype
    ) -> None:
        super().__init__()
        r = plan.resolution(plan.second_bank.psi[j], r1)
        M, self.L = plan.total >> r1, plan.total >> r
        band = plan.filters[1][j].on(M, wrap=plan.wrap)
        self.start, self.stop, self.low, self.high, self.row = band.start, band.stop, low, high, row
        weights = interleave(plan.gain(r - r1) * band.values, dtype)
        self.register_buffer("weights", weights, persistent=False)
        self.phi = phis[r]
        self.mirror = Mirror(plan.extension(r)) if plan.crop else None

    def forward(self, bins: Tensor, origin: int, space: Buffers) -> Tensor:
        """Return S2 (batch, high - low, frames) for U1's spectrum `bins` (batch, K, ...) from bin `origin` on."""
        shape = (bins.shape[0], self.high - self.low, self.L)
        bands = fold(bins[:, self.low : self.high], self.start - origin, self.weights, space.complex("bands", *shape))
        u = modulus(torch.fft.ifft(bands), space.real("modulus", *shape))
        return self.phi.of_signal(self.mirror.fill_(u) if self.mirror else u)


class FirstOrder(nn.Module):
    """The filters `ks` of the first bank, whose outputs share one resolution, and all that follows them."""

    weights: Tensor

    def __init__(self, plan: Cascade, ks: list[int], order: int, phis: LowPasses, dtype: torch.dtype) -> None:
        super().__init__()
        r = plan.resolution(plan.first_bank.psi[ks[0]])
        self.L, self.K = plan.total >> r, len(ks)
        self.starts, rows = stacked([plan.filters[0][k] for k in ks])
        weights = interleave(plan.gain(r) * rows, dtype)
        self.register_buffer("weights", weights, persistent=False)
        self.phi = phis[r]
        self.mirror = Mirror(plan.extension(r)) if plan.crop else None
        self.keys: list[tuple[int, ...]] = [(k,) for k in ks]
        self.layers = list[SecondOrder]()
        for j in range(len(plan.second_bank.psi)) if order == 2 else ():
            followed = [i for i, k in enumerate(ks) if j in plan.pairs(k)]
            for low, high in runs(followed):
                self.layers.append(SecondOrder(plan, j, low, high, r, len(self.keys), phis, dtype))
                self.keys += [(k, j) for k in ks[low:high]]
        self.near = [layer for layer in self.layers if layer.L * FAR > self.L]
        self.far = [layer for layer in self.layers if layer.L * FAR <= self.L]
        self.second = nn.ModuleList(self.layers)  # what `.to` moves

    def forward(self, bins: Tensor, origin: int, out: Tensor, space: Buffers, tile: int) -> None:
        """Write S1 and S2, in the order of `keys`, to `out` (batch, paths, frames).

        bins: the clips' spectrum (batch, ...) from bin `origin` on. tile: complex samples to process at once.
        The outputs much shorter than U1 wait until all clips are there.
        """
        low, high = reach(self.far)
        far = space.complex("far", len(bins), self.K, high - low)
        step = max(1, tile // (self.K * self.L))
        for i in range(0, len(bins), step):
            half = self._first(bins[i : i + step], origin, out[i : i + step], space)
            if self.far:
                window(half, self.L, low, high, far[i : i + step])
            if self.near:
                low1, high1 = reach(self.near)
                near = space.complex("near", len(half), self.K, high1 - low1)
                self._second(self.near, window(half, self.L, low1, high1, near), low1, out[i : i + step], space)
        if self.far:
            step = max(1, tile // (self.K * self.far[0].L))
            for i in range(0, len(bins), step):
                self._second(self.far, far[i : i + step], low, out[i : i + step], space)

    def _first(self, bins: Tensor, origin: int, out: Tensor, space: Buffers) -> Tensor:
        """Write S1 and return the half spectrum of U1 (batch, K, L // 2 + 1)."""
        shape = (len(bins), self.K, self.L)
        bands = space.complex("bands", *shape)
        for k, start in enumerate(self.starts):
            fold(bins, start - origin, self.weights[k], bands[:, k])
        u = modulus(torch.fft.ifft(bands), space.real("modulus", *shape))
        half = rfft(self.mirror.fill_(u) if self.mirror else u)
        out[:, : self.K] = self.phi.of_spectrum(half)
        return half

    def _second(self, layers: list[SecondOrder], bins: Tensor, origin: int, out: Tensor, space: Buffers) -> None:
        for layer in layers:
            out[:, layer.row : layer.row + layer.high - layer.low] = layer.forward(bins, origin, space)


def reach(layers: list[SecondOrder]) -> tuple[int, int]:
    """Return the range of bins that the layers need, end excluded."""
    return min((layer.start for layer in layers), default=0), max((layer.stop for layer in layers), default=0)


def runs(indices: list[int]) -> list[tuple[int, int]]:
    """Return the maximal ranges (low, high) of consecutive integers, high excluded, in increasing `indices`."""
    edges = [i for i, (a, b) in enumerate(itertools.pairwise(indices), 1) if b != a + 1]
    bounds = [0, *edges, len(indices)]
    return [(indices[a], indices[b - 1] + 1) for a, b in itertools.pairwise(bounds) if a < b]
