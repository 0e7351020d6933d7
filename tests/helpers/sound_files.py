"""Sound files as they are in the wild, made from sound ones: what damages them, and their samples."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile as sf

from earmark.decode.audio import stream

KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def encoded(
    wave: np.ndarray, rate: int, form: str = "MP3", mode: str | None = None, subtype: str | None = None
) -> bytes:
    """Return a file of that format; ``mode`` is CONSTANT or VARIABLE for MP3."""
    file = io.BytesIO()
    how = {} if mode is None else {"bitrate_mode": mode, "compression_level": 0.5}
    sf.write(file, wave, rate, format=form, subtype=subtype, **how)
    return file.getvalue()


def frames(data: bytes, start: int = 0) -> list[int]:
    """Return where the frames of an undamaged MP3 of MPEG-1, 44.1 kHz begin, and where the last one ends."""
    places = [start]
    while data[places[-1] : places[-1] + 2] in (b"\xff\xfb", b"\xff\xfa"):
        third = data[places[-1] + 2]
        places.append(places[-1] + 144_000 * KBITS[third >> 4] // 44_100 + (third >> 1 & 1))
    return places


def flipped(data: bytes, *bits: int) -> bytes:
    """Return the bytes with some bits inverted, counted from the highest of the first byte."""
    found = bytearray(data)
    for bit in bits:
        found[bit // 8] ^= 128 >> bit % 8
    return bytes(found)


def heard(path: Path, data: bytes | None = None, rate: int = 44_100) -> tuple[np.ndarray, str]:
    """Return the samples of a file, which is written first if ``data`` are given, and what it lacks."""
    if data is not None:
        path.write_bytes(data)
    with stream(path, rate) as blocks:
        wave = np.concatenate([np.zeros(0, np.float32), *blocks])
        return wave, blocks.incomplete


def differing(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-4) -> np.ndarray:
    """Return the numbers of the samples that differ between two waves of one length."""
    assert one.shape == other.shape
    return np.flatnonzero(np.abs(one - other) > tolerance)
