"""What a scattering transform computes: its filters, pairs, resolutions and padding, as ScatNet or kymatio has them.

Nothing here touches a signal. Frequencies are in radians per sample. A resolution r means one sample in 2^r.

ScatNet: Anden & Mallat, "Deep Scattering Spectrum", IEEE TSP 62(16), 2014, and the toolbox's audio defaults.
kymatio: Andreux et al., JMLR 21(60), 2020; Lostanlen, PhD thesis, 2017, for the widths.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from earmark.representations.spectrum import good_length

SIGMA0 = 2 / math.sqrt(3)  # ScatNet's reference width
KYMATIO_SIGMA0 = 0.1  # kymatio's, in cycles per sample
WIDTHS = 4.2  # time widths of the widest wavelet that padding="fast" leaves on each side
KERNEL = 5.0  # time widths of phi at which its impulse response ends
Paths: TypeAlias = "np.recarray[Any, Any]"
PATH = np.dtype([("order", "i4"), *((name, "f8") for name in ("xi1", "bw1", "xi2", "bw2"))])


@dataclass(frozen=True)
class Shape:
    """A wavelet's centre xi (radians per sample; 0: a low pass), time width s (samples) and dyadic subsampling j.

    2^j is the critical step between samples of the filtered signal's modulus: the transform keeps
    2^(j - oversampling).
    """

    xi: float
    s: float
    j: int

    @property
    def bandwidth(self) -> float:
        """ScatNet's bandwidth (pi / 2) sigma0 / s in radians per sample."""
        return math.pi / 2 * SIGMA0 / self.s


@dataclass(frozen=True)
class Bank:
    """The shapes of a bank, from high to low frequency, and of its low pass.

    logarithmic: how many of the wavelets stand at constant ratios. The others follow at constant steps.
    """

    psi: tuple[Shape, ...]
    phi: Shape
    logarithmic: int


def half_up(x: float) -> int:
    """Round to the nearest integer, halves up."""
    return math.floor(x + 0.5)


def scatnet_bank(Q: int, T: int) -> Bank:
    """Return ScatNet's bank of Q wavelets per octave that averages over about T samples.

    J logarithmic wavelets at xi_max 2^(-k/Q), then P linearly spaced ones of the last one's width.
    """
    ratio = 2 ** (-1 / Q)
    m = 2 if Q == 1 else 1
    xi_max, sigma_psi = (ratio + 1) * math.pi / 2, SIGMA0 / 2 / (1 - ratio)
    sigma_phi0 = sigma_psi / m
    J = 1 + half_up(math.log2(T / (4 * Q / m)) * Q)
    P = half_up((ratio - SIGMA0 / (4 * sigma_phi0)) / (1 - ratio))

    widest = sigma_psi * 2 ** ((J - 1) / Q)
    step = math.pi * 2 ** (-J / Q) * (1 - SIGMA0 / (4 * sigma_phi0) * 2 ** (1 / Q)) / max(P, 1)
    logarithmic = [(xi_max * ratio**k, sigma_psi * 2 ** (k / Q)) for k in range(J)]
    linear = [(logarithmic[-1][0] - k * step, widest) for k in range(1, P + 1)]

    def critical(s: float, band: float) -> int:
        return half_up(math.log2(band / (math.pi / 2 * SIGMA0 / s)))

    psi = tuple(Shape(xi, s, critical(s, math.pi)) for xi, s in logarithmic + linear)
    s_phi = sigma_phi0 * 2 ** ((J - 1) / Q)
    return Bank(psi, Shape(0.0, s_phi, critical(s_phi, 2 * math.pi)), J)


def kymatio_bank(Q: int, J: int, T: int) -> Bank:
    """Return kymatio 0.3's bank of Q wavelets per octave down to the width 0.1 / 2^J, averaging over T samples.

    Centres fall by 2^(1/Q) until the width would pass its minimum, then linearly to zero.
    """
    ratio, sigma_min = 2 ** (-1 / Q), KYMATIO_SIGMA0 / 2**J
    xi = max(1 / (1 + 2 ** (3 / Q)), 0.35)
    sigma = xi * (1 - ratio) / (1 + ratio) / math.sqrt(math.log(2))
    elbow, pairs = sigma, []
    if sigma > sigma_min:
        pairs = [(xi, sigma)]
        while pairs[-1][1] > sigma_min * 2 ** (1 / Q):
            pairs.append((pairs[-1][0] / 2 ** (1 / Q), pairs[-1][1] / 2 ** (1 / Q)))
        elbow = pairs[-1][0]
    pairs += [(elbow - q / Q * elbow, sigma_min) for q in range(1, Q)]

    def shape(xi: float, sigma: float) -> Shape:
        edge = min(xi + 5 * sigma, 0.5)
        return Shape(2 * math.pi * xi, 1 / (2 * math.pi * sigma), math.floor(-math.log2(edge)) - 1)

    sigma_phi = KYMATIO_SIGMA0 / T
    return Bank(
        tuple(shape(xi, sigma) for xi, sigma in pairs),
        Shape(0.0, 1 / (2 * math.pi * sigma_phi), math.floor(math.log2(T))),
        len(pairs) - (Q - 1),
    )


@dataclass(frozen=True)
class Extension:
    """A signal of n samples inside a period of `total`, continued by its mirror image on both sides.

    The signal starts at `lead`; `right` samples that continue it follow, and whatever is left of the
    period precedes the signal: `lead` samples at the front of the period, the others at its end.
    whole: the mirror stands on the last sample (kymatio), and not half a sample past it (ScatNet).
    """

    n: int
    total: int
    lead: int
    right: int
    whole: bool = False

    def source(self) -> NDArray[np.int64]:
        """Return for each of the `total` positions the sample of the signal that it holds."""
        offset = np.arange(self.total) - self.lead
        offset[offset >= self.n + self.right] -= self.total
        period = max(2 * self.n - 2, 1) if self.whole else 2 * self.n
        offset %= period
        return np.where(offset < self.n, offset, period - offset - (not self.whole))

    def runs(self) -> list[tuple[int, int, int, bool]]:
        """Return (destination, source, length, reversed) slices of the period that fill all but the signal."""
        source = self.source() + self.lead
        found = []
        for first, last in ((0, self.lead), (self.lead + self.n, self.total)):
            while first < last:
                step = -1 if first + 1 < last and source[first + 1] < source[first] else 1
                same = np.flatnonzero(np.diff(source[first:last]) != step)
                length = int(same[0]) + 1 if len(same) else last - first
                low = int(min(source[first], source[first + length - 1]))
                found.append((first, low, length, bool(step < 0)))
                first += length
        return found


class Plan(ABC):
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

    def resolution(self, shape: Shape, before: int = 0) -> int:
        """Return the resolution of the signal filtered by `shape`, that was at resolution `before`."""
        return max(before, min(shape.j - self.oversampling, self.last_resolution))

    def groups(self) -> list[list[int]]:
        """Return the first-order wavelets in runs whose outputs share a resolution: each run is computed together."""
        resolutions = [self.resolution(shape) for shape in self.first_bank.psi]
        return [list(ks) for _, ks in itertools.groupby(range(len(resolutions)), resolutions.__getitem__)]

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


class ScatNetPlan(Plan):
    """ScatNet's audio scattering: half-sample symmetric padding anew in every layer, bw1 > xi2, norm-keeping gains."""

    wrap, crop, whole = False, True, False

    def __init__(self, n: int, Q: tuple[int, int], T: int, oversampling: int, exact: bool) -> None:
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


class KymatioPlan(Plan):
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
