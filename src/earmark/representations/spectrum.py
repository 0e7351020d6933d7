"""What every band-limited filter shares: symmetric padding, filters kept on their support, short inverse FFTs.

A filter whose Fourier transform lives on a run of bins needs only those bins of the signal's spectrum.
Multiplied and folded modulo L, they are inverted by an FFT of length L: the filtered signal at L samples
per period. If only the modulus is wanted, the run may start at bin 0 of the short FFT (demodulation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.representations.buffers import suits_cpu

MAX_TAPS = 16  # blocks of a low pass beyond which it is applied to the spectrum
Floats = NDArray[np.float64]


def good_length(minimum: int, multiple: int) -> int:
    """Return a length of at least `minimum` whose FFT is fast: multiple * 2^a 3^b 5^c.

    It is a power of two if that is at most an eighth longer than the least such length: FFT libraries run it
    that much faster.

    >>> good_length(1000, 8), good_length(1025, 1)
    (1024, 1080)
    """
    factor = -(-minimum // multiple)
    power = 1 << (factor - 1).bit_length()
    while not _smooth(factor):
        factor += 1
    return multiple * (power if 8 * power <= 9 * factor else factor)


def _smooth(factor: int) -> bool:
    for prime in (2, 3, 5):
        while factor % prime == 0:
            factor //= prime
    return factor == 1


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


def interleave(values: Floats, dtype: torch.dtype) -> Tensor:
    """Return each real coefficient twice: weights of a complex spectrum seen as real numbers."""
    return torch.tensor(np.repeat(values, 2, axis=-1), dtype=dtype)


def as_reals(z: Tensor) -> Tensor:
    """View complex (..., n) as real (..., 2 n)."""
    return torch.view_as_real(z).flatten(-2)


def window(half: Tensor, M: int, low: int, high: int, out: Tensor) -> Tensor:
    """Copy the bins low..high-1 of a real signal's spectrum into `out` (..., high - low).

    half: its non-negative half (..., M // 2 + 1), from rfft. Bin -n is the conjugate of bin n, and bins repeat
    with period M.
    """
    middle = M // 2
    for base in range(math.floor((low - middle) / M) * M, high + middle, M):
        first, last = max(low, base), min(high, base + middle + 1)  # bins base + n
        if first < last:
            out[..., first - low : last - low] = half[..., first - base : last - base]
        first, last = max(low, base - (M - middle) + 1), min(high, base)  # bins base - n, conjugated
        if first < last:
            out[..., first - low : last - low] = half[..., base - last + 1 : base - first + 1].flip(-1).conj()
    return out


def fold(spectrum: Tensor, at: int, weights: Tensor, out: Tensor) -> Tensor:
    """Multiply a band of `spectrum` by weights, fold it to `out` (..., L), and return that.

    spectrum: complex (..., bins); the band begins at bin `at`. weights: complex, or real from `interleave`.
    Bin n of the band goes to bin n modulo L of `out`.
    """
    source, target = spectrum[..., at:], out
    if not weights.is_complex():
        source, target = as_reals(source), as_reals(target)
    L, length = target.shape[-1], weights.shape[-1]
    begin = length - length % L
    if begin > 2 * L:  # one product and one sum are faster than many short products
        product = source[..., :begin] * weights[:begin]
        torch.sum(product.reshape(*product.shape[:-1], -1, L), -2, out=target)
    else:
        begin = min(L, length)
        torch.mul(source[..., :begin], weights[:begin], out=target[..., :begin])
        target[..., begin:] = 0
    for first in range(begin, length, L):
        size = min(L, length - first)
        target[..., :size].addcmul_(source[..., first : first + size], weights[first : first + size])
    return out


def modulus(z: Tensor, out: Tensor) -> Tensor:
    """Write |z| to `out` and return that. NumPy does it on a CPU: its complex modulus is vectorised, torch's is not."""
    if suits_cpu(z):
        np.abs(z.numpy(), out=out.numpy())
        return out
    return torch.abs(z, out=out)


class LowPass(nn.Module):
    """Averages signals of M samples by a low pass and keeps every `step`-th sample, from `first` on, `frames` of them.

    The kernel is short against the signal, so that where it covers few blocks of `step` samples it is applied
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
        """Return the impulse response as (taps, step), or None where it is too long or the margins are too short."""
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


def rfft(x: Tensor) -> Tensor:
    """Return the rfft of `x` (..., n). A signal alone gets the same bits as one of many.

    MKL has another method for a single long signal, slower and rounded differently, so a single one is doubled.
    """
    if suits_cpu(x) and x.numel() == x.shape[-1]:
        return torch.fft.rfft(x.reshape(1, -1).expand(2, -1))[0].view(*x.shape[:-1], -1)
    return torch.fft.rfft(x)


def long_rfft(x: Tensor) -> Tensor:
    """Return the rfft of `x` (batch, n) for large n. SciPy does it on a CPU, several signals in one register."""
    if suits_cpu(x):
        return torch.from_numpy(scipy.fft.rfft(x.numpy()))
    return torch.fft.rfft(x)
