"""Harmonic CNN on the waveform (Won et al. 2020, Data-driven harmonic filters for audio representation learning)."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from earmark.models.layers.blocks import channels_last, conv2d_block
from earmark.models.layers.options import require_at_least, require_counts, require_dropout, require_waveform

BANDS = 128  # quarter tones from C1 (MIDI 24) to E6 (MIDI 88), whose sixth harmonic is just below 8 kHz
POOLS = ((2, 2), (2, 2), (2, 2), (2, 2), (2, 2), (3, 2), (3, 2))  # frames, bands


class HarmonicFilters(nn.Module):
    """Triangular filters on the harmonics of 128 pitches, in decibels; the quality factor ``Q`` is learnt.

    The filter of harmonic n of a pitch of f Hz is centred on n f, and (0.1079 n f + 24.7) / Q Hz wide (Eqs. 4 and 5).
    """

    centres: Tensor
    frequencies: Tensor
    window: Tensor

    def __init__(self, rate: int, n_fft: int, harmonics: int) -> None:
        super().__init__()
        self.hop, self.harmonics = n_fft // 2, harmonics
        midi = 24 + torch.arange(BANDS, dtype=torch.float64) / 2
        pitches = 440.0 * 2.0 ** ((midi - 69) / 12)
        centres = torch.arange(1, harmonics + 1).unsqueeze(1) * pitches
        self.Q = nn.Parameter(torch.ones(1))
        self.register_buffer("centres", centres.flatten().float(), persistent=False)
        self.register_buffer("frequencies", torch.linspace(0, rate / 2, n_fft // 2 + 1), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def filters(self) -> Tensor:
        """Return the filters, (frequencies of the FFT, harmonics x bands), with a maximum of 1 each."""
        half = (0.1079 * self.centres + 24.7) / self.Q / 2
        return (1 - (self.frequencies.unsqueeze(1) - self.centres).abs() / half).clamp(min=0)

    def forward(self, wave: Tensor) -> Tensor:
        """Return decibels, (batch, n_samples) -> (batch, harmonics, 1 + n_samples // hop, bands)."""
        n_fft = len(self.window)
        spectrum = torch.stft(wave, n_fft, self.hop, window=self.window, pad_mode="reflect", return_complex=True)
        power = spectrum.abs().square().transpose(1, 2) @ self.filters()
        decibels = 10 * torch.log10(power.clamp(min=1e-10))
        return decibels.view(*decibels.shape[:2], self.harmonics, BANDS).transpose(1, 2)


class PooledResidual(nn.Module):
    """Two 3 x 3 convolutions with a shortcut, then a pool: (batch, channels, h, w) -> (batch, channels, h', w')."""

    def __init__(self, channels: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )
        self.pool = nn.MaxPool2d(pool)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of branch and input, pooled and rectified."""
        return self.pool(self.branch(maps) + maps).relu()


class HarmonicCNN(nn.Module):
    """Harmonic filters as six input channels, seven pooled blocks, the maximum over time, and two dense layers.

    The paper trains on excerpts of 5 s at 16 kHz (80,000 samples), and averages the scores over a clip's excerpts. The
    network also takes longer inputs. The six harmonics of the highest pitch are below 8 kHz.

    rate: of the waveform, Hz. n_fft: the window in samples, of which the hop is half. channels: of the first four
    blocks; the others have twice as many. dropout: before the last layer.

    Raises ValueError if an option is out of its limits, or the input is not a waveform, or is too short.
    """

    def __init__(
        self,
        n_tags: int,
        frames: int,
        dims: int,
        *,
        rate: int = 16_000,
        n_fft: int = 512,
        harmonics: int = 6,
        channels: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        require_waveform(dims)
        require_counts(rate=rate, harmonics=harmonics, channels=channels)
        require_at_least("n_fft", n_fft, 2)
        require_dropout(dropout)
        windows = prod(pool for pool, _ in POOLS)
        limit = (windows - 1) * (n_fft // 2)
        require_at_least("frames", frames, limit, f"the network pools {windows} windows of {n_fft} samples")
        self.filters = HarmonicFilters(rate, n_fft, harmonics)
        self.input_norm = nn.BatchNorm2d(harmonics)
        wide = 2 * channels
        self.blocks = channels_last(
            nn.Sequential(
                conv2d_block(harmonics, channels, POOLS[0]),
                *[PooledResidual(channels, pool) for pool in POOLS[1:4]],
                conv2d_block(channels, wide, POOLS[4]),
                *[PooledResidual(wide, pool) for pool in POOLS[5:]],
            )
        )
        self.dense = nn.Sequential(nn.Linear(wide, wide), nn.BatchNorm1d(wide), nn.ReLU(), nn.Dropout(dropout))
        self.output = nn.Linear(wide, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of a waveform (batch, n_samples, 1)."""
        maps = self.blocks(self.input_norm(self.filters(features.squeeze(2))))
        return self.output(self.dense(maps.amax(dim=(2, 3))))


build = HarmonicCNN
