"""The spectral fingerprint of a file: what stays of its sound if it is encoded anew, louder, softer or cut elsewhere.

The first minute is heard at 8 kHz, as mel bands from 200 to 3400 Hz, which all codecs keep. Two things are made of it:

- bits, 32 a frame: whether the difference between two neighbouring bands has grown or fallen in the last quarter of a
  second (Haitsma and Kalker 2002, A highly robust audio fingerprinting system). No gain and no filter changes them.
- windows of 6 s, by which candidates are found: each band's mean, and how strongly groups of bands vary at eight rates.
  They do not depend on where in a second the window begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.decode import pool
from earmark.decode.audio import decode_blocks
from earmark.representations.mel import Mel

SECONDS = 60  # of a file that are heard
RATE, N_FFT, HOP = 8000, 2048, 512  # Hz, samples, samples
BANDS, LOWEST, HIGHEST = 33, 200.0, 3400.0  # Hz; on HTK's scale, so that each band has its bins
FLOOR = 35.0  # dB below the loudest cells, where codecs leave holes
LAG = 4  # frames, 256 ms: over which a difference between bands grows or falls
STEP = 1e-3  # dB that count as a change
WINDOW, WINDOW_HOP = 93, 31  # frames: 6 s and 2 s
GROUPS = 11  # of three bands
MODULATIONS = (0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.8)  # Hz: edges of the rates of variation
WIDTH = BANDS + GROUPS * (len(MODULATIONS) - 1)
SHORTEST = 3.5  # seconds: of less there are too few bits


@dataclass(frozen=True)
class Fingerprint:
    """grown, heard: (frames, 4) uint8, 32 bits a frame: whether a difference has grown, and whether it has changed.

    windows: (windows, WIDTH) float32; none of a file that is silent or shorter than SHORTEST.
    """

    grown: NDArray[np.uint8]
    heard: NDArray[np.uint8]
    windows: NDArray[np.float32]

    def signs(self) -> NDArray[np.float32]:
        """Return the bits as (frames, 32): 1 for grown, -1 for fallen, 0 for neither."""
        grown, heard = (np.unpackbits(bits, axis=1).astype(np.float32) for bits in (self.grown, self.heard))
        return (2 * grown - 1) * heard


def fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of a file. Raises RejectedError if it cannot be decoded."""
    return of_wave(_beginning(path))


def of_wave(wave: NDArray[np.float32]) -> Fingerprint:
    """Return the fingerprint of a wave: (samples,), mono at RATE Hz."""
    if len(wave) < SHORTEST * RATE:
        nothing = np.zeros((0, 4), np.uint8)
        return Fingerprint(nothing, nothing, np.zeros((0, WIDTH), np.float32))
    with torch.no_grad():
        bands = _mel(len(wave)).compute(torch.from_numpy(wave[None]))[0].numpy()
    loud = np.maximum(bands, _floor(bands))
    change = np.diff(loud, axis=1)
    change = change[LAG:] - change[:-LAG]
    grown, heard = np.packbits(change > 0, axis=1), np.packbits(np.abs(change) > STEP, axis=1)
    found = [window for start in _starts(len(bands)) if (window := _window(bands[start : start + WINDOW])) is not None]
    return Fingerprint(grown, heard, np.array(found, np.float32).reshape(-1, WIDTH))


def _beginning(path: Path) -> NDArray[np.float32]:
    """Return the first SECONDS of a file: (samples,), mono at RATE Hz."""
    parts, missing = [np.zeros(0, np.float32)], SECONDS * RATE
    blocks = pool.shared().stream(decode_blocks, path, RATE, 0.0)
    for block in blocks:
        if isinstance(block, str):  # what the file lacks
            continue
        parts.append(block[:missing])
        missing -= len(parts[-1])
        if missing <= 0:
            blocks.close()  # type: ignore[attr-defined] # what is not needed is not decoded
            break
    return np.concatenate(parts)


@lru_cache(maxsize=16)
def _mel(n_samples: int) -> Mel:
    return Mel(rate=RATE, n_samples=n_samples, n_fft=N_FFT, hop=HOP, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST, htk=True)


def _floor(bands: NDArray[np.float32]) -> np.float32:
    return np.float32(np.quantile(bands, 0.99) - FLOOR)


def _starts(frames: int) -> list[int]:
    """Return where windows begin: every WINDOW_HOP frames, and the last one ends where the file ends."""
    last = max(0, frames - WINDOW)
    return [*range(0, last, WINDOW_HOP), last]


def _window(bands: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return what describes a window (frames, BANDS) in dB: (WIDTH,); None if nothing is heard in it."""
    loud = np.maximum(bands, _floor(bands))
    loud = loud - loud.mean()
    if loud.std() < 1:
        return None
    mean = loud.mean(axis=0)
    taper = np.hanning(len(loud))[:, None]
    power = np.square(np.abs(np.fft.rfft((loud - mean) * taper, WINDOW, axis=0)))
    rates = np.fft.rfftfreq(WINDOW, HOP / RATE)
    sums = [power[(rates >= low) & (rates < high)].sum(axis=0) for low, high in pairwise(MODULATIONS)]
    varied = np.log(np.array(sums) + 1e-3).reshape(len(sums), GROUPS, -1).mean(axis=2)
    return np.concatenate([mean, varied.ravel()])
