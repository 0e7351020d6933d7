"""The constant-Q transform (Brown 1991; Schoerkhuber & Klapuri 2010), as librosa defines its filters.

Bin k of centre f_k = fmin 2^(k / b) correlates the clip with a Hann-windowed complex tone of
l_k = Q rate / f_k samples, Q = filter_scale / alpha, alpha = (2^(2/b) - 1) / (2^(2/b) + 1), of unit l1 norm:

    C[k, t] = sqrt(l_k) |sum_n x[t hop + n] conj(h_k[n])|,   zeros beyond the clip's ends

Nothing is decimated or sparsified: librosa.cqt approximates this definition, which is computed to about 1e-5 here.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.representations.base import Rare, Representation, require, require_memory, unseen
from earmark.representations.buffers import BufferPool, Buffers, suits_cpu
from earmark.representations.spectrum import Floats, fold, good_length, modulus, window

C1 = 440.0 * 2 ** (-45 / 12)  # Hz, as in equal temperament at A4 = 440 Hz
AMIN = 1e-5  # amplitude below which log-amplitude is flat, -100 dB
LOBES = 32  # of a filter's spectrum that are kept on each side of its centre; the others of Hann's are below 1e-5
HANN_BANDWIDTH = 1.50018310546875  # equivalent noise bandwidth in bins, as librosa has it
CHUNK = 8  # clips that a CPU takes at a time


def centres(bins: int, bins_per_octave: int, fmin: float) -> Floats:
    """Return the bins' centre frequencies in Hz."""
    return fmin * 2.0 ** (np.arange(bins) / bins_per_octave)


def quality(bins_per_octave: int, filter_scale: float) -> float:
    """Return Q: how many periods of its centre frequency a filter has.

    >>> round(quality(bins_per_octave=12, filter_scale=1.0), 3)
    17.332
    """
    r = 2.0 ** (2 / bins_per_octave)
    return float(filter_scale * (r + 1) / (r - 1))


def span(length: float) -> tuple[int, int]:
    """Return a filter's first sample, relative to its frame, and its number of samples; `length` need not be whole."""
    return -math.ceil(length / 2), math.floor(length / 2) + math.ceil(length / 2)


def atom(omega: float, length: float) -> NDArray[np.complex128]:
    """Return sqrt(length) conj(h), h being a tone of `omega` radians per sample in a Hann window, of unit l1 norm."""
    first, n = span(length)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    tone = np.exp(-1j * omega * (first + np.arange(n)))
    return math.sqrt(length) * hann / hann.sum() * tone


def response(omega: float, length: float, w: Floats) -> NDArray[np.complex128]:
    """Return the spectrum of the correlation with that atom at `w` radians per sample: three Dirichlet kernels."""
    first, n = span(length)
    theta = w - omega

    def dirichlet(theta: Floats) -> NDArray[np.complex128]:
        half = (theta + np.pi) % (2 * np.pi) / 2 - np.pi / 2
        near = np.abs(half) < 1e-9
        ratio = np.where(near, n, np.sin(n * half) / np.where(near, 1.0, np.sin(half)))
        return np.exp(1j * half * (n - 1)) * ratio

    step = 2 * np.pi / n
    kernel = 0.5 * dirichlet(theta) - 0.25 * (dirichlet(theta - step) + dirichlet(theta + step))
    return math.sqrt(length) / (n / 2) * np.exp(1j * theta * first) * kernel


class CQT(Representation):
    """Constant-Q magnitudes, in decibels unless `log_amplitude` is off.

    bins, bins_per_octave, fmin: number of bins, and the lowest one's centre in Hz.
    hop: samples between frames; frame t is centred on sample t * hop. filter_scale: below 1 it shortens all filters.
    If hop is above the longest filter's length, what lies between two frames is not heard (`unseen`).
    log_amplitude: 20 log10(max(magnitude, 1e-5)).

    `forward` returns (batch, 1 + n_samples // hop, bins).
    """

    def __init__(
        self,
        *,
        rate: int,
        n_samples: int,
        bins: int = 84,
        bins_per_octave: int = 12,
        fmin: Rare[float] = C1,
        hop: int = 256,
        filter_scale: Rare[float] = 1.0,
        log_amplitude: Rare[bool] = True,
    ) -> None:
        super().__init__("cqt", rate, n_samples)
        for key, value in (("bins", bins), ("bins_per_octave", bins_per_octave), ("hop", hop)):
            require(value >= 1, "cqt", key, "be at least 1", value)
        require(fmin > 0, "cqt", "fmin", "be above 0 Hz", fmin)
        require(filter_scale > 0, "cqt", "filter_scale", "be positive", filter_scale)
        require_memory(8 * 64 * bins, "cqt", "bins", bins)
        hz, Q = centres(bins, bins_per_octave, fmin), quality(bins_per_octave, filter_scale)
        edge = float(hz[-1] * (1 + 0.5 * HANN_BANDWIDTH / Q))
        require(
            edge <= rate / 2, "cqt", "bins", f"keep the top filter below rate / 2 = {rate / 2:g} Hz", bins,
            f"it reaches {edge:.0f} Hz: fewer bins, a lower fmin or a higher rate",
        )  # fmt: skip
        self.hop, self.log_amplitude, self.pool = hop, log_amplitude, BufferPool()
        self.n_frames, self.n_dims = 1 + n_samples // hop, bins
        self.axes = {"hz": hz, "seconds_per_frame": hop / rate}
        with np.errstate(over="ignore"):
            lengths = Q * rate / hz
        # what evaluates filters of these lengths, complex and in double precision
        require_memory(3 * 16 * float(lengths.max()) * min(bins, bins_per_octave), "cqt", "fmin", fmin)
        self.unseen = unseen(n_samples, self.n_frames, hop, *span(float(lengths[0])))
        self._build(2 * np.pi * hz / rate, lengths, bins_per_octave)
        self.bytes_per_clip = 4 * (4 * self.total + 5 * len(self.starts) * self.L + 6 * bins * self.n_frames)

    def _build(self, omegas: Floats, lengths: Floats, bins_per_octave: int) -> None:
        """Evaluate the long filters on their bins of the spectrum, the short ones on their samples."""
        longest = math.ceil(lengths.max())
        self.total = good_length((self.n_frames + 1) * self.hop + longest, self.hop)
        self.L = self.total // self.hop
        n_long = int((lengths > 2 * self.hop - 2).sum())
        self.starts = []
        bin_ = 2 * np.pi / self.total
        for k, (omega, length) in enumerate(zip(omegas[:n_long], lengths[:n_long], strict=True)):
            reach = min(LOBES * 2 * np.pi / length, np.pi - bin_)
            first, last = (math.floor((omega + side * reach) / bin_) for side in (-1, 1))
            values = response(omega, length, np.arange(first, last + 1) * bin_) / self.hop
            self.starts.append(first)
            self.register_buffer(f"band{k}", torch.tensor(values, dtype=torch.complex64), persistent=False)
        self.low = min(self.starts, default=0)
        self.high = max((s + len(self.get_buffer(f"band{k}")) for k, s in enumerate(self.starts)), default=0)
        self.octaves = [(k, min(k + bins_per_octave, len(omegas))) for k in range(n_long, len(omegas), bins_per_octave)]
        for first, last in self.octaves:
            half = math.ceil(lengths[first] / 2)
            columns = np.zeros((2 * half, last - first), dtype=complex)
            for column, omega, length in zip(columns.T, omegas[first:last], lengths[first:last], strict=True):
                begin, n = span(length)
                column[begin + half : begin + half + n] = atom(omega, length)
            parts = torch.view_as_real(torch.tensor(columns)).flatten(1).float()
            self.register_buffer(f"octave{first}", parts, persistent=False)

    @torch.no_grad()
    def compute(self, wave: Tensor) -> Tensor:
        """Return (batch, n_frames, bins) for `wave` (batch, n_samples), mono at `rate` Hz."""
        out = wave.new_empty(len(wave), self.n_frames, self.n_dims, dtype=torch.float32)
        cpu = suits_cpu(wave)
        size = CHUNK if cpu else max(1, len(wave))
        with self.pool.lend(out) as buffers:
            for first in range(0, len(wave), size):
                part, rows = wave[first : first + size], out[first : first + size]
                if len(part) > 1 or not cpu:
                    self._chunk(part, rows, buffers)
                else:  # MKL rounds a single clip differently, depending on the threads: it goes twice
                    twice = rows.expand(2, -1, -1).contiguous()
                    self._chunk(part.expand(2, -1), twice, buffers)
                    rows.copy_(twice[:1])
        return out

    def _chunk(self, wave: Tensor, out: Tensor, buffers: Buffers) -> None:
        padded = buffers.real("padded", len(wave), self.total)
        padded[:, : self.hop] = 0
        padded[:, self.hop : self.hop + self.n_samples] = wave
        padded[:, self.hop + self.n_samples :] = 0
        if self.starts:
            self._long(padded, out[..., : len(self.starts)], buffers)
        for first, last in self.octaves:
            self._short(padded, self.get_buffer(f"octave{first}"), out[..., first:last], buffers)
        if self.log_amplitude:
            out.clamp_(min=AMIN).log10_().mul_(20.0)

    def _long(self, padded: Tensor, out: Tensor, buffers: Buffers) -> None:
        """Filter the spectrum: the bands folded to one sample per hop, and inverted."""
        shape = (len(padded), len(self.starts), self.L)
        bins = buffers.complex("bins", len(padded), self.high - self.low)
        window(torch.fft.rfft(padded), self.total, self.low, self.high, bins)
        bands = buffers.complex("bands", *shape)
        for k, start in enumerate(self.starts):
            fold(bins, start - self.low, self.get_buffer(f"band{k}"), bands[:, k])
        moduli = modulus(torch.fft.ifft(bands), buffers.real("moduli", *shape))
        out.copy_(moduli[..., 1 : 1 + self.n_frames].transpose(1, 2))

    def _short(self, padded: Tensor, atoms: Tensor, out: Tensor, buffers: Buffers) -> None:
        """Correlate in time: frames times atoms, once for the half before and once for the half after the centre."""
        half = len(atoms) // 2
        size, stride = (len(padded), self.n_frames, half), (self.total, self.hop, 1)
        before, after = (padded.as_strided(size, stride, self.hop + offset) for offset in (-half, 0))
        product = buffers.real("product", len(padded), self.n_frames, atoms.shape[1])
        torch.bmm(before, atoms[:half].expand(len(padded), -1, -1), out=product)
        product.baddbmm_(after, atoms[half:].expand(len(padded), -1, -1))
        bins = atoms.shape[1] // 2
        z = torch.view_as_complex(product.view(len(padded), self.n_frames, bins, 2))
        out.copy_(modulus(z, buffers.real("moduli", *z.shape)))


build = CQT
