"""Music of which no two seeds sound alike, and ways in which one recording comes under two names."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import soundfile as sf

RATE = 16_000


def melody(seed: int, seconds: float = 12.0) -> np.ndarray:
    """Notes of random pitch and length in a timbre of their own, in noise of a colour of its own: mono at RATE."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    lengths = rng.integers(RATE // 8, RATE // 2, 8 * int(np.ceil(seconds)))
    pitch = np.repeat(rng.choice(110 * 2 ** (np.arange(36) / 12), len(lengths)), lengths)[: len(t)]
    since = np.concatenate([np.arange(length) for length in lengths])[: len(t)] / RATE
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    partials = rng.uniform(0, 1, 8) ** 2
    sound = sum(level * np.sin((k + 1) * phase) for k, level in enumerate(partials)) * np.exp(-4 * since)
    noise = np.convolve(rng.normal(size=len(t)), rng.normal(size=16), "same")
    return (0.05 * sound + 10 ** rng.uniform(-4, -3) * noise).astype(np.float32)


def encoded(wave: np.ndarray, form: str, quality: float) -> np.ndarray:
    """The wave after a codec; quality: libsndfile's compression level, 1 for the least bits."""
    file = io.BytesIO()
    sf.write(file, wave, RATE, format=form, compression_level=quality)
    file.seek(0)
    return sf.read(file, dtype="float32")[0]


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "MP3 of few bits": lambda wave: encoded(wave, "MP3", 0.95),
    "Ogg Vorbis of few bits": lambda wave: encoded(wave, "OGG", 0.9),
    "24 dB softer": lambda wave: 10 ** (-24 / 20) * wave,
    "louder, and clipped": lambda wave: np.clip(3 / np.abs(wave).max() * wave, -1, 1),
    "begins 0.37 s later": lambda wave: wave[int(0.37 * RATE) :],
    "half a second of silence before it": lambda wave: np.concatenate([np.zeros(RATE // 2), wave]),
    "7 s of it, as MP3": lambda wave: encoded(wave[3 * RATE : 10 * RATE], "MP3", 0.8),
    "darker": lambda wave: np.convolve(wave, [1, 0.6], "same"),
}
