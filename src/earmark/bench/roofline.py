"""What a transform must compute and move per clip, and how fast this machine copies and does FFTs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from earmark.representations.cqt import CQT
from earmark.representations.mel import Mel
from earmark.representations.scattering.transform import Scattering


def fft_flops(n: int, *, real: bool) -> float:
    """Return the customary count of an FFT's operations: 5 n log2 n, or half of that for a real signal."""
    return (2.5 if real else 5.0) * n * math.log2(n)


def scattering_cost(s: Scattering) -> tuple[float, float]:
    """Return (FLOPs, bytes) per clip of the scattering transform: FFTs and filters; arrays written and read once."""
    flops, moved = fft_flops(s.total, real=True), 4.0 * 2 * s.n_samples + 8 * s.total
    for group in s.groups:
        runs = group.weights.shape[1] // 2
        flops += group.K * (fft_flops(group.L, real=False) + fft_flops(group.L, real=True) + 4 * runs)
        moved += group.K * (8 * runs + (16 + 16 + 12 + 8) * group.L)
        for wavelet in group.second:
            rows, run = wavelet.high - wavelet.low, len(wavelet.weights) // 2
            flops += rows * (fft_flops(wavelet.L, real=False) + 4 * run + 16 * wavelet.L)
            moved += rows * (8 * run + (16 + 12 + 4) * wavelet.L)
    return flops, moved + 8.0 * s.n_paths * s.n_frames


def cqt_cost(c: CQT) -> tuple[float, float]:
    """Return (FLOPs, bytes) per clip of the CQT."""
    runs = sum(len(c.get_buffer(f"band{k}")) for k in range(len(c.starts)))
    atoms = [c.get_buffer(f"octave{first}") for first, _ in c.octaves]
    short = sum(a.numel() for a in atoms) * c.n_frames
    flops = fft_flops(c.total, real=True) + 8.0 * runs + len(c.starts) * fft_flops(c.L, real=False) + 2.0 * short
    moved = 12.0 * c.total + 16 * runs + 44 * len(c.starts) * c.L + sum(a.shape[1] for a in atoms) * 14 * c.n_frames
    return flops, moved + 16.0 * c.n_dims * c.n_frames


def mel_cost(m: Mel) -> tuple[float, float]:
    """Return (FLOPs, bytes) per clip of the mel spectrogram."""
    products = sum((last - first) * (high - low) for first, last, low, high in m.blocks)
    flops = m.n_frames * (fft_flops(m.n_fft, real=True) + m.n_fft + 2.0 * products)
    return flops, 8.0 * m.n_samples + m.n_frames * (16.0 * m.n_fft + 4 * m.n_fft + 8 * m.n_dims)


def best_seconds(work: Callable[[], object], times: int = 7) -> float:
    """Return the shortest of several timings of `work`."""
    best = math.inf
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def machine_speed() -> dict[str, float]:
    """Return the speed of a copy of 256 MB and of a batch of complex FFTs that fit the cache, on torch's threads."""
    a = torch.zeros(2**26)
    b = torch.empty_like(a)
    z = torch.zeros(32, 2**14, dtype=torch.complex64)
    return {
        "copy_bytes_per_second": 2 * 4 * a.numel() / best_seconds(lambda: b.copy_(a)),
        "fft_flops_per_second": 32 * fft_flops(2**14, real=False) / best_seconds(lambda: torch.fft.fft(z)),
    }
