"""The two published banks of Morlet wavelets: ScatNet's and kymatio's.

Frequencies are in radians per sample, filters are real Fourier coefficients on a grid of n_fft bins, evaluated
only where they matter. A Gabor filter of time width s (samples) is exp(-(w - xi)^2 s^2 / 2); a Morlet wavelet
is a Gabor filter less the multiple of Gabor(0, s) that makes it vanish at w = 0.

ScatNet: Anden & Mallat, "Deep Scattering Spectrum", IEEE TSP 62(16), 2014, and the toolbox's audio defaults.
kymatio: Andreux et al., JMLR 21(60), 2020; Lostanlen, PhD thesis, 2017, for the widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earmark.representations.spectrum import Band, Floats

SIGMA0 = 2 / math.sqrt(3)  # ScatNet's reference width
KYMATIO_SIGMA0 = 0.1  # kymatio's, in cycles per sample
REACH = 7.5  # widths 1/s of a Gaussian beyond which it is below 1e-12


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
    """The shapes of a bank, from high to low frequency, and of its low pass."""

    psi: tuple[Shape, ...]
    phi: Shape


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
    return Bank(psi, Shape(0.0, s_phi, critical(s_phi, 2 * math.pi)))


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
    )


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


def scatnet_filters(bank: Bank, Q: int, T: int, n_fft: int) -> list[Band]:
    """Return ScatNet's wavelets of `bank`: every one times sqrt(2 / max_w sum_k |psi_k(w)|^2), k logarithmic."""
    J = 1 + half_up(math.log2(T / (4 * Q / (2 if Q == 1 else 1))) * Q)
    bands = [morlet(shape, n_fft) for shape in bank.psi]
    energy = np.zeros(n_fft)
    for band in bands[:J]:
        add_periodic(energy, band.start, band.values**2)
    gain = math.sqrt(2 / energy.max())
    return [scatnet_support(Band(band.start, gain * band.values), n_fft) for band in bands]


def add_periodic(total: Floats, start: int, values: Floats) -> None:
    """Add `values` to `total` from bin `start` on, modulo its length."""
    n = len(total)
    for to in range(start - start % n, start + len(values), n):
        low, high = max(start, to), min(start + len(values), to + n)
        total[low - to : high - to] += values[low - start : high - start]


def kymatio_filters(shapes: Sequence[Shape], n_fft: int) -> list[Band]:
    """Return kymatio's filters of those shapes: of unit l1 norm in time."""
    return [
        Band(band.start, band.values / l1_norm(shape))
        for shape, band in ((shape, morlet(shape, n_fft)) for shape in shapes)
    ]


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
