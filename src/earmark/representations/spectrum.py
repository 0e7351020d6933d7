"""What every band-limited filter shares: products with a run of bins, short inverse FFTs, the modulus.

A filter whose Fourier transform lives on a run of bins needs only those bins of the signal's spectrum.
Multiplied and folded modulo L, they are inverted by an FFT of length L: the filtered signal at L samples
per period. If only the modulus is wanted, the run may start at bin 0 of the short FFT (demodulation).
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.representations.buffers import suits_cpu

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
