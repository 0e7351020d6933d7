"""The filters of a plan in frequency: Morlet wavelets and low passes, as ScatNet and kymatio define them.

A filter is a run of real Fourier coefficients on a grid of n_fft bins, evaluated only where they matter. A Gabor filter
of time width s (samples) is exp(-(w - xi)^2 s^2 / 2); a Morlet wavelet is a Gabor filter less the multiple of
Gabor(0, s) that makes it vanish at w = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from earmark.representations.scattering.plan import Bank, Plan, ScatNetPlan, Shape
from earmark.representations.spectrum import Floats

REACH = 7.5  # widths 1/s of a Gaussian beyond which it is below 1e-12


@dataclass(frozen=True)
class Band:
    """A filter on its support: real Fourier coefficients at the bins start, start + 1, ..."""

    start: int
    values: Floats

    @property
    def stop(self) -> int:
        """One past the last bin."""
        return self.start + len(self.values)

    def trim(self, tail: float) -> Band:
        """Drop the ends where the coefficients stay below `tail` times the largest."""
        kept = np.flatnonzero(np.abs(self.values) > tail * np.abs(self.values).max())
        return Band(self.start + int(kept[0]), self.values[kept[0] : kept[-1] + 1])

    def on(self, M: int, *, wrap: bool) -> Band:
        """Return the band for a spectrum of M bins.

        A run longer than M is summed modulo M if `wrap`; if not, it is cut at +-M/2, where the weight is 1/2.
        """
        if len(self.values) <= M:
            return self
        bins, half = np.arange(self.start, self.stop), M // 2
        if wrap:
            folded = np.zeros(M)
            np.add.at(folded, (bins + half) % M, self.values)
            return Band(-half, folded)
        inside = np.abs(bins) <= half
        return Band(max(self.start, -half), self.values[inside] * np.where(2 * np.abs(bins[inside]) == M, 0.5, 1.0))

    def aligned(self, L: int) -> Band:
        """Return the band with zeros in front, so that folding modulo L moves nothing: no demodulation."""
        lead = self.start % L
        return Band(self.start - lead, np.concatenate([np.zeros(lead), self.values]))


def gabor(w: Floats, xi: float, s: float) -> Floats:
    """Return exp(-(w - xi)^2 s^2 / 2) made periodic over 2 pi, for frequencies `w` in [-2 pi, 4 pi)."""
    total = np.zeros_like(w)
    for p in range(-2, 3):
        u = (w - 2 * np.pi * p - xi) * s
        near = np.abs(u) < REACH
        total[near] += np.exp(-0.5 * u[near] ** 2)
    return total


def morlet(shape: Shape, n_fft: int) -> Band:
    """Return the Morlet wavelet of that shape (the Gabor filter if xi is 0) on the bins where it is not negligible."""
    xi, s, zero = shape.xi, shape.s, np.zeros(1)
    leak = float(gabor(zero, xi, s)[0] / gabor(zero, 0.0, s)[0]) if xi else 0.0
    lowest = min(xi, 0.0 if leak > 1e-9 else xi) - REACH / s
    first, last = (math.floor(edge * n_fft / (2 * math.pi)) for edge in (lowest, xi + REACH / s))
    if last - first >= n_fft:  # wider than a period: the period about the centre
        first = round(xi * n_fft / (2 * math.pi)) - n_fft // 2
        last = first + n_fft - 1
    w: Floats = np.arange(first, last + 1, dtype=np.float64) * (2 * math.pi / n_fft)
    values = gabor(w, xi, s)
    return Band(first, np.asarray(values - leak * gabor(w, 0.0, s)) if leak else values)


def scatnet_support(band: Band, n_fft: int, threshold: float = 1e-3) -> Band:
    """Cut the band as ScatNet does: to the run above `threshold`, widened to n_fft / 2^i bins about its middle."""
    kept = band.trim(threshold)
    run = len(kept.values)
    width = -(-n_fft // 2 ** math.floor(math.log2(n_fft / run)))
    start = -(-(kept.start + kept.stop - 1) // 2) - width // 2
    values = np.zeros(width)
    low, high = max(start, band.start), min(start + width, band.stop)
    values[low - start : high - start] = band.values[low - band.start : high - band.start]
    return Band(start, values)


def add_periodic(total: Floats, start: int, values: Floats) -> None:
    """Add `values` to `total` from bin `start` on, modulo its length."""
    n = len(total)
    for to in range(start - start % n, start + len(values), n):
        low, high = max(start, to), min(start + len(values), to + n)
        total[low - to : high - to] += values[low - start : high - start]


def scatnet_filters(bank: Bank, n_fft: int) -> list[Band]:
    """Return ScatNet's wavelets of `bank`: every one times sqrt(2 / max_w sum_k |psi_k(w)|^2), k logarithmic."""
    bands = [morlet(shape, n_fft) for shape in bank.psi]
    energy = np.zeros(n_fft)
    for band in bands[: bank.logarithmic]:
        add_periodic(energy, band.start, band.values**2)
    gain = math.sqrt(2 / energy.max())
    return [scatnet_support(Band(band.start, gain * band.values), n_fft) for band in bands]


def l1_norm(shape: Shape) -> float:
    """Return the sum over time of |h| for a Morlet filter of that shape, from its closed form in time.

    h(t) = exp(-t^2 / 2 s^2) (e^(i xi t) - leak) / (s sqrt(2 pi)).
    """
    reach = math.ceil(REACH * shape.s)
    t = np.arange(-reach, reach + 1)
    zero = np.zeros(1)
    leak = float(gabor(zero, shape.xi, shape.s)[0] / gabor(zero, 0.0, shape.s)[0]) if shape.xi else 0.0
    envelope = np.exp(-0.5 * (t / shape.s) ** 2) / (shape.s * math.sqrt(2 * math.pi))
    return float((envelope * np.abs(np.exp(1j * shape.xi * t) - leak)).sum())


def kymatio_filter(shape: Shape, n_fft: int) -> Band:
    """Return kymatio's filter of that shape: of unit l1 norm in time."""
    band = morlet(shape, n_fft)
    return Band(band.start, band.values / l1_norm(shape))


class Filters:
    """The filters of a plan.

    Attributes:
        first, second: the wavelets of either order on the plan's period, without their numerically empty tails.

    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.first, self.second = (self._wavelets(bank) for bank in (plan.first_bank, plan.second_bank))

    def _wavelets(self, bank: Bank) -> list[Band]:
        total = self.plan.total
        if isinstance(self.plan, ScatNetPlan):
            bands = scatnet_filters(bank, total)
        else:
            bands = [kymatio_filter(shape, total) for shape in bank.psi]
        return [band.trim(self.plan.tail) for band in bands]

    def low_pass(self, shape: Shape, r: int) -> Band:
        """Return the low pass of that shape at resolution r: of unit peak (ScatNet) or of unit l1 norm (kymatio)."""
        total = self.plan.total
        if isinstance(self.plan, ScatNetPlan):
            band = scatnet_support(morlet(shape, total), total)
        else:
            band = kymatio_filter(shape, total)
        return band.on(total >> r, wrap=self.plan.wrap)


def stacked(bands: list[Band]) -> tuple[list[int], Floats]:
    """Return the bands' first bins and their coefficients as rows of one length, zeros at the end."""
    rows = np.zeros((len(bands), max(len(band.values) for band in bands)))
    for row, band in zip(rows, bands, strict=True):
        row[: len(band.values)] = band.values
    return [band.start for band in bands], rows
