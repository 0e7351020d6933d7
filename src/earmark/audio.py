"""One audio file to mono float32 at one rate and of one length, or a rejection with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray


class RejectedError(Exception):
    """A clip that cannot be used; the text is the reason that stands in the reject list."""


@dataclass(frozen=True)
class Decoded:
    """``wave``: (samples,) float32, nominally in [-1, 1]; ``padded``: how many zeros stand at its end."""

    wave: NDArray[np.float32]
    padded: int


def decode(path: Path, rate: int, samples: int, min_seconds: float) -> Decoded:
    """Decode the first ``samples`` samples at ``rate`` Hz; channels are averaged, a shorter clip is padded with zeros.

    MP3, WAV, FLAC and OGG, by content and not by name. The decoder's first sample is sample 0: an encoder delay is
    taken off only where the file declares it (LAME header).
    Raises RejectedError for a file that is absent, empty, no audio, shorter than ``min_seconds``, or not finite.
    """
    wave = decode_whole(path, rate, min_seconds)
    padded = max(0, samples - len(wave))
    return Decoded(np.pad(wave[:samples], (0, padded)), padded)


def decode_whole(path: Path, rate: int, min_seconds: float) -> NDArray[np.float32]:
    """Decode all of a file to mono float32 at ``rate`` Hz; RejectedError as in ``decode``."""
    if not path.is_file():
        raise RejectedError("no such file")
    if path.stat().st_size == 0:
        raise RejectedError("empty file (0 bytes)")
    wave, source_rate = _read(path)
    if len(wave) < min_seconds * source_rate:
        raise RejectedError(f"too short: {len(wave) / source_rate:.2f} s, at least {min_seconds:g} s are needed")
    if not np.isfinite(wave).all():
        raise RejectedError("samples that are not finite")
    return wave if source_rate == rate else soxr.resample(wave, source_rate, rate)


def _read(path: Path) -> tuple[NDArray[np.float32], int]:
    """All samples of a file as mono float32, and its rate in Hz."""
    try:
        with soundfile.SoundFile(path) as file:
            # Block by block: a damaged MP3 may announce more frames than it holds, or none at all.
            blocks = list(file.blocks(blocksize=1 << 19, dtype="float32", always_2d=True))
            rate = int(file.samplerate)
    except soundfile.LibsndfileError as error:
        raise RejectedError(f"not decodable: {error.error_string}") from None
    if not blocks:
        raise RejectedError("no audio frames")
    return np.concatenate(blocks).mean(axis=1, dtype=np.float32), rate


def describe(path: Path) -> str:
    """Seconds, rate, channels, format and levels of an audio file, in one line; RejectedError where it is none."""
    if not path.is_file():
        raise RejectedError("no such file")
    try:
        with soundfile.SoundFile(path) as file:
            wave = file.read(dtype="float32", always_2d=True)
            about = (
                f"{len(wave) / file.samplerate:.2f} s, {file.samplerate} Hz, {file.channels} channels, {file.format}"
            )
    except soundfile.LibsndfileError as error:
        raise RejectedError(f"not decodable: {error.error_string}") from None
    peak, power = float(np.abs(wave).max(initial=0)), float(np.square(wave).mean()) if wave.size else 0.0
    return f"{about}, peak {_decibels(peak):.1f} dBFS, RMS {_decibels(power**0.5):.1f} dBFS"


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, 1e-10)))
