"""The plan of a scattering transform: filters, resolutions, padding and paths, as ScatNet or kymatio has them.

Nothing here touches a signal: `Scattering` executes the plan. A resolution r means one sample in 2^r.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from earmark.representations.scattering.wavelets import (
    KYMATIO_SIGMA0,
    Bank,
    Shape,
    kymatio_bank,
    kymatio_filters,
    morlet,
    scatnet_bank,
    scatnet_filters,
    scatnet_support,
)
from earmark.representations.spectrum import Band, Extension, Floats, good_length

Paths: TypeAlias = "np.recarray[Any, Any]"
PATH = np.dtype([("order", "i4"), *((name, "f8") for name in ("xi1", "bw1", "xi2", "bw2"))])
WIDTHS = 4.2  # time widths of the widest wavelet that padding="fast" leaves on each side
KERNEL = 5.0  # time widths of phi at which its impulse response ends


class Cascade(ABC):
    """The plan for clips of n samples. Subclasses say what differs between the toolboxes.

    Attributes:
        first_bank, second_bank: the shapes of either order's wavelets; phi0, phi: the low passes of S0 and of the rest.
        hop: samples between frames; n_frames: frames kept; first: index of the first kept frame in the period.
        total: samples in the padded period.
        tail: relative size below which a filter's coefficients are dropped.
        wrap, crop: whether a filter longer than the spectrum wraps around, and whether each layer's output is
            cropped to the clip and extended anew.

    """

    wrap: bool
    crop: bool
    whole: bool

    def __init__(self, n: int, banks: tuple[Bank, Bank], oversampling: int, exact: bool) -> None:
        self.n, self.oversampling, self.exact = n, oversampling, exact
        self.tail = 1e-9 if exact else 1e-5
        self.first_bank, self.second_bank = banks
        self.phi0, self.phi = banks[0].phi, banks[1].phi
        self.last_resolution = max(max(phi.j - oversampling, 0) for phi in (self.phi0, self.phi))
        self.hop = 2**self.last_resolution
        self.total, self.lead, self.right = self._pad_exactly() if exact else self._pad_fast()
        self.first = -(-self.lead // self.hop)
        self.n_frames = -(-(self.lead + n) // self.hop) - self.first

    def _pad_fast(self) -> tuple[int, int, int]:
        """Return (total, lead, right): margins past the widest filter, frames on whole hops, a good FFT length."""
        bands = (*self.first_bank.psi, *self.second_bank.psi)
        margin = max(WIDTHS * max(shape.s for shape in bands), KERNEL * max(self.phi0.s, self.phi.s))
        total = good_length(self.n + math.ceil(2 * margin), self.hop)
        lead = self.hop * round((total - self.n) / 2 / self.hop)
        return total, lead, total - lead - self.n

    @abstractmethod
    def _pad_exactly(self) -> tuple[int, int, int]:
        """Return (total, lead, right) as the toolbox pads."""

    @abstractmethod
    def gain(self, steps: int) -> float:
        """Return what subsampling by 2^steps multiplies the inverse transform of the folded spectrum by."""

    @abstractmethod
    def pairs(self, k: int) -> list[int]:
        """Return the second-order wavelets that follow the first-order wavelet `k`."""

    @cached_property
    @abstractmethod
    def filters(self) -> tuple[list[Band], list[Band]]:
        """The wavelets of both orders on the grid of `total` bins."""

    @abstractmethod
    def low_pass(self, phi: Shape) -> Band:
        """Return the low pass of that shape on the grid of `total` bins."""

    def resolution(self, shape: Shape, before: int = 0) -> int:
        """Return the resolution of the signal filtered by `shape`, that was at resolution `before`."""
        return max(before, min(shape.j - self.oversampling, self.last_resolution))

    def extension(self, r: int) -> Extension:
        """Return where a signal at resolution r stands in its period."""
        total, lead, n = self.total >> r, self.lead >> r, 1 + ((self.n - 1) >> r)
        return Extension(n, total, lead, (total - n) // 2 if self.exact else total - lead - n, self.whole)

    def paths(self, rate: float) -> tuple[Paths, list[tuple[int, ...]]]:
        """Return one row of `PATH` per coefficient, in Hz at `rate`, and its key: (), (k,) or (k, j)."""

        def hertz(shape: Shape) -> tuple[float, float]:
            return shape.xi * rate / (2 * math.pi), shape.bandwidth * rate / (2 * math.pi)

        none = (math.nan, math.nan)
        first, second = self.first_bank.psi, self.second_bank.psi
        keys: list[tuple[int, ...]] = [(), *((k,) for k in range(len(first)))]
        keys += [(k, j) for k in range(len(first)) for j in self.pairs(k)]
        chains = [tuple(bank[i] for bank, i in zip((first, second), key, strict=False)) for key in keys]
        rows = [(len(chain), *sum(map(hertz, chain), ()), *none * (2 - len(chain))) for chain in chains]
        return np.array(rows, dtype=PATH).view(np.recarray), keys


class ScatNet(Cascade):
    """ScatNet's audio scattering: half-sample symmetric padding anew in every layer, bw1 > xi2, norm-keeping gains."""

    wrap, crop, whole = False, True, False

    def __init__(self, n: int, Q: tuple[int, int], T: int, oversampling: int, exact: bool) -> None:
        self.Q, self.T = Q, T
        super().__init__(n, (scatnet_bank(Q[0], T), scatnet_bank(Q[1], T)), oversampling, exact)

    def _pad_exactly(self) -> tuple[int, int, int]:
        total = 2 ** math.ceil(math.log2(2 * self.n))
        rest = total - self.n
        lead = min(math.ceil(KERNEL * 1.2 * self.phi.s / self.hop), max(rest // 2 // self.hop - 1, 0)) * self.hop
        return total, lead, rest // 2

    def gain(self, steps: int) -> float:
        """Keep the norm of a signal that is subsampled: the square root of the mean's gain."""
        return math.exp2(-steps / 2)

    def pairs(self, k: int) -> list[int]:
        """Return the wavelets that fit into the bandwidth of the first-order wavelet `k`."""
        bandwidth = self.first_bank.psi[k].bandwidth
        return [j for j, shape in enumerate(self.second_bank.psi) if bandwidth > shape.xi]

    @cached_property
    def filters(self) -> tuple[list[Band], list[Band]]:
        """The toolbox's truncated wavelets, whose numerically empty tails are dropped."""
        banks = zip((self.first_bank, self.second_bank), self.Q, strict=True)
        first, second = (scatnet_filters(bank, Q, self.T, self.total) for bank, Q in banks)
        return [band.trim(self.tail) for band in first], [band.trim(self.tail) for band in second]

    def low_pass(self, phi: Shape) -> Band:
        """Return ScatNet's low pass: unit peak, truncated as the wavelets are."""
        return scatnet_support(morlet(phi, self.total), self.total)


class Kymatio(Cascade):
    """kymatio 0.3's scattering, its amplitudes made right: reflected once, j2 > j1, gains that keep the mean."""

    wrap, crop, whole = True, False, True

    def __init__(self, n: int, Q: tuple[int, int], J: int, T: int, oversampling: int, exact: bool) -> None:
        self.T = T
        super().__init__(n, (kymatio_bank(Q[0], J, T), kymatio_bank(Q[1], J, T)), oversampling, exact)

    def _pad_exactly(self) -> tuple[int, int, int]:
        t = np.arange(-(self.n // 2), self.n - self.n // 2)
        h = np.exp(-0.5 * (t * (2 * math.pi * KYMATIO_SIGMA0 / self.T)) ** 2)
        beyond = np.cumsum((h / h.sum())[t >= 0][: self.n // 2][::-1])[::-1]
        inside = np.flatnonzero(beyond <= 1e-3)
        support = 3 * (int(inside[0]) + 1 if len(inside) else self.n // 2)
        total = 2 ** min(math.ceil(math.log2(self.n + 2 * support)), math.floor(math.log2(3 * self.n - 2)))
        lead = (total - self.n) // 2
        return total, lead, total - self.n - lead

    def gain(self, steps: int) -> float:
        """Keep the values of a signal that is subsampled."""
        return math.exp2(-steps)

    def pairs(self, k: int) -> list[int]:
        """Return the wavelets at a coarser scale j than the first-order wavelet `k`."""
        return [j for j, shape in enumerate(self.second_bank.psi) if shape.j > self.first_bank.psi[k].j]

    @cached_property
    def filters(self) -> tuple[list[Band], list[Band]]:
        """The toolbox's wavelets, whose numerically empty tails are dropped."""
        first, second = (kymatio_filters(bank.psi, self.total) for bank in (self.first_bank, self.second_bank))
        return [band.trim(self.tail) for band in first], [band.trim(self.tail) for band in second]

    def low_pass(self, phi: Shape) -> Band:
        """Return kymatio's low pass: unit l1 norm."""
        return kymatio_filters([phi], self.total)[0]


def stacked(bands: list[Band]) -> tuple[list[int], Floats]:
    """Return the bands' first bins and their coefficients as rows of one length, zeros at the end."""
    rows = np.zeros((len(bands), max(len(band.values) for band in bands)))
    for row, band in zip(rows, bands, strict=True):
        row[: len(band.values)] = band.values
    return [band.start for band in bands], rows
