"""Log-mel power spectrograms, equal to librosa's (McFee et al. 2015), batched in torch.

The band edges are equally spaced on the mel scale, Slaney's (1998, linear below 1 kHz, as librosa's
default) or HTK's (2595 log10(1 + f / 700)); each triangle has unit area in Hz.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.representations.base import Rare, Representation, require, require_memory, unseen
from earmark.representations.buffers import BufferPool, Buffers, suits_cpu
from earmark.representations.spectrum import modulus

BLOCK = 32  # mel bands whose bins one matrix product covers: neighbours share most of them
AMIN = 1e-10  # power below which decibels are flat, -100 dB
GAIN = 10_000.0  # of power in log10p

_BREAK_HZ, _BREAK_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27.0  # Slaney: 15 mel at 1 kHz, then logarithmic


def hz_to_mel(hz: NDArray[np.float64], *, htk: bool) -> NDArray[np.float64]:
    """Return `hz` in mel, on HTK's scale or on Slaney's."""
    if htk:
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, 3.0 * hz / 200.0, above)


def mel_to_hz(mel: NDArray[np.float64], *, htk: bool) -> NDArray[np.float64]:
    """Return `mel` in Hz: the inverse of `hz_to_mel`."""
    if htk:
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _LOG_STEP)
    return np.where(mel < _BREAK_MEL, 200.0 * mel / 3.0, above)


def mel_edges(n_mels: int, fmin: float, fmax: float, *, htk: bool) -> NDArray[np.float64]:
    """Return the n_mels + 2 band edges in Hz; band m rises from edge m, peaks at edge m + 1 and ends at edge m + 2.

    >>> mel_edges(3, 0.0, 4000.0, htk=False).round(1).tolist()
    [0.0, 586.1, 1194.2, 2185.6, 4000.0]
    """
    low, high = hz_to_mel(np.array([fmin, fmax]), htk=htk)
    return mel_to_hz(np.linspace(low, high, n_mels + 2), htk=htk)


def mel_filters(rate: int, n_fft: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the triangles (n_mels, 1 + n_fft // 2) between `edges` (Hz), each of unit area in Hz."""
    bins = np.arange(1 + n_fft // 2) * (rate / n_fft)
    left, centre, right = (edges[i : len(edges) - 2 + i, None] for i in range(3))
    with np.errstate(all="ignore"):  # of edges that are one number, which make NaN
        rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
        triangles = np.maximum(0.0, np.minimum(rising, falling))
        return triangles * 2.0 / (right - left)


class Mel(Representation):
    """Mel power of Hann-windowed frames, compressed unless `log_amplitude` is off.

    n_fft, hop: window and step in samples; frame t is centred on sample t * hop; beyond the ends there is silence.
    If hop is above n_fft, what lies between two windows is not heard (`unseen`).
    n_mels, fmin, fmax: number of bands and their span in Hz (fmax: rate / 2 if it is None).
    htk: HTK's mel scale in place of Slaney's. log_amplitude: whether power is compressed. compression: by which
    logarithm: "db", decibels, 10 log10(max(power, 1e-10)), or "log10p", log10(1 + 10000 power), as musicnn hears (Pons
    and Serra 2019), which is 0 for silence.

    `forward` returns (batch, 1 + n_samples // hop, n_mels), with an odd n_fft 1 + (n_samples - 1) // hop frames.
    """

    def __init__(
        self,
        *,
        rate: int,
        n_samples: int,
        n_fft: int = 512,
        hop: int = 256,
        n_mels: int = 96,
        fmin: Rare[float] = 0.0,
        fmax: Rare[float | None] = None,
        htk: Rare[bool] = False,
        log_amplitude: Rare[bool] = True,
        compression: Rare[Literal["db", "log10p"]] = "db",
    ) -> None:
        super().__init__("mel", rate, n_samples)
        fmax = rate / 2 if fmax is None else fmax
        require(n_fft >= 2, "mel", "n_fft", "be at least 2", n_fft)
        require(hop >= 1, "mel", "hop", "be at least 1", hop)
        require(0 <= fmin < fmax, "mel", "fmin", f"be in [0, fmax={fmax:g})", fmin)
        require(fmax <= rate / 2, "mel", "fmax", f"be at most rate / 2 = {rate / 2:g} Hz", fmax, "a lower rate?")
        require(n_mels >= 1, "mel", "n_mels", "be at least 1", n_mels)
        require(compression in ("db", "log10p"), "mel", "compression", "be db or log10p", compression)
        require(
            log_amplitude or compression == "db", "mel", "compression", "be left out if log_amplitude is off",
            compression, "power is not compressed then",
        )  # fmt: skip
        bins = 1 + n_fft // 2
        require(n_mels <= n_fft, "mel", "n_mels", f"be at most n_fft={n_fft}", n_mels, "raise n_fft")
        require_memory(5 * 8 * n_mels * bins, "mel", "n_fft", n_fft)
        edges = mel_edges(n_mels, fmin, fmax, htk=htk)
        filters = mel_filters(rate, n_fft, edges)
        empty = np.flatnonzero(~(filters.max(axis=1) > 0))  # NaN is no maximum either
        require(
            len(empty) == 0, "mel", "n_mels", f"leave no band without an FFT bin at n_fft={n_fft}", n_mels,
            f"{len(empty)} empty bands, the first at {edges[1:][empty[:1]]} Hz: raise n_fft or fmin",
        )  # fmt: skip
        self.n_fft, self.hop, self.pool = n_fft, hop, BufferPool()
        self.compression = compression if log_amplitude else None
        self.blocks = column_blocks(filters, BLOCK)
        self.filters: Tensor
        self.window: Tensor
        self.register_buffer("filters", torch.tensor(filters.T, dtype=torch.float32), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.n_frames, self.n_dims = 1 + (n_samples - n_fft % 2) // hop, n_mels
        self.unseen = unseen(n_samples, self.n_frames, hop, -(n_fft // 2), n_fft)
        self.axes = {"hz": edges[1:-1], "seconds_per_frame": hop / rate}
        self.bytes_per_clip = 4 * (2 * n_samples + self.n_frames * (5 * (1 + n_fft // 2) + 2 * n_mels))

    @torch.no_grad()
    def compute(self, wave: Tensor) -> Tensor:
        """Return (batch, n_frames, n_mels) for `wave` (batch, n_samples), mono at `rate` Hz."""
        out = wave.new_empty(len(wave), self.n_frames, self.n_dims, dtype=torch.float32)
        size = 1 if suits_cpu(wave) else max(1, len(wave))  # one clip stays in a CPU's cache
        with self.pool.lend(out) as buffers:
            for first in range(0, len(wave), size):
                self._chunk(wave[first : first + size], out[first : first + size], buffers)
        return out

    def _chunk(self, wave: Tensor, out: Tensor, buffers: Buffers) -> None:
        batch, half = len(wave), self.n_fft // 2
        padded = buffers.real("padded", batch, self.n_samples + 2 * half)
        padded[:, :half] = 0
        padded[:, half : half + self.n_samples] = wave
        padded[:, half + self.n_samples :] = 0
        shape = (batch, self.n_frames, self.n_fft)
        frames = padded.as_strided(shape, (padded.shape[1], self.hop, 1))
        spectrum = torch.fft.rfft(torch.mul(frames, self.window, out=buffers.real("frames", *shape)))
        power = modulus(spectrum, buffers.real("power", *spectrum.shape)).square_().view(-1, spectrum.shape[-1])
        flat = out.view(-1, self.n_dims)
        for first, last, low, high in self.blocks:
            torch.mm(power[:, low:high], self.filters[low:high, first:last], out=flat[:, first:last])
        if self.compression == "db":
            out.clamp_(min=AMIN).log10_().mul_(10.0)
        elif self.compression == "log10p":
            out.mul_(GAIN).log1p_().mul_(1 / math.log(10))


def column_blocks(filters: NDArray[np.float64], width: int) -> list[tuple[int, int, int, int]]:
    """Return (first band, last, first bin, last) of every `width` bands of `filters`; the bins are those they see."""
    found = []
    for first in range(0, len(filters), width):
        bins = np.flatnonzero(filters[first : first + width].any(axis=0))
        found.append((first, min(first + width, len(filters)), int(bins[0]), int(bins[-1]) + 1))
    return found


build = Mel
