"""What becomes of an audio file that is damaged at random, judged against the undamaged one in a decoding process."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.decode.audio import RejectedError, stream
from helpers.music import music
from helpers.mutation import mutated
from helpers.resident import resident
from helpers.sound_files import encoded

SECONDS = 2.5
RATE = 16_000
BLOCK = 320  # samples: 20 ms
SHORTER = 0.95  # of the length: less is a loss
SILENT = 0.05  # of the blocks: more that fell silent are a loss
FORMS: dict[str, tuple[int, int, str, dict[str, str]]] = {  # rate, channels, format, how
    "mp3-cbr": (RATE, 1, "MP3", {"mode": "CONSTANT"}),
    "mp3-vbr": (RATE, 1, "MP3", {"mode": "VARIABLE"}),
    "mp3-stereo": (44_100, 2, "MP3", {"mode": "CONSTANT"}),
    "flac": (RATE, 1, "FLAC", {}),
    "flac-stereo": (44_100, 2, "FLAC", {}),
    "vorbis": (RATE, 1, "OGG", {}),
    "opus": (RATE, 1, "OGG", {"subtype": "OPUS"}),
    "wav": (RATE, 1, "WAV", {}),
    "wav-float": (RATE, 2, "WAV", {"subtype": "FLOAT"}),
    "wav-adpcm": (RATE, 1, "WAV", {"subtype": "MS_ADPCM"}),
    "rf64": (RATE, 1, "RF64", {}),
    "w64": (RATE, 1, "W64", {}),
    "au": (RATE, 1, "AU", {}),
    "aiff": (RATE, 1, "AIFF", {}),
    "caf": (RATE, 1, "CAF", {}),
    "caf-alac": (RATE, 1, "CAF", {"subtype": "ALAC_16"}),
}
RAW = ("wav", "wav-float", "wav-adpcm", "rf64", "w64", "au", "aiff", "caf")  # where zeros are samples like others

TRIMMED = 2 * 4095  # samples that the LAME header of an MP3 can take off: delay and padding, of 12 bits each


class Verdict(NamedTuple):
    """What became of a file. peak: bytes of memory of the process.

    outcome: rejected, warned, whole, other rate, shorter, silenced, or trimmed, as an MP3's header may want it.
    """

    outcome: str
    told: str
    done: str
    seconds: float
    peak: int


def seeds(folder: Path) -> dict[str, Path]:
    """Write an undamaged file of every form."""
    for name, (rate, channels, form, how) in FORMS.items():
        wave = music(round(SECONDS * rate), rate)
        (folder / name).write_bytes(encoded(np.stack([wave] * channels, axis=1), rate, form, **how))
    return {name: folder / name for name in FORMS}


@lru_cache(maxsize=len(FORMS))
def _heard(path: Path) -> tuple[NDArray[np.float32], int, bytes]:
    with stream(path, RATE) as blocks:
        return np.concatenate(list(blocks)), blocks.source_rate, path.read_bytes()


def _levels(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    whole = wave[: len(wave) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return np.sqrt(np.square(whole).mean(axis=1))


def judge(path: Path, number: int, where: str) -> Verdict:
    """Damage a file by a seed, decode what is left of it, and say what became of it."""
    whole, rate, content = _heard(path)
    damaged, done = mutated(content, f"{path.name} {number}")
    place = Path(where)
    place.write_bytes(damaged)
    began = time.perf_counter()
    outcome, told = _outcome(place, whole, rate)
    if outcome == "silenced" and path.name in RAW and "zero" in done:
        outcome = "whole"
    if outcome == "shorter" and path.name.startswith("mp3") and float(told.split()[0]) > SECONDS - TRIMMED / rate:
        outcome = "trimmed"
    return Verdict(outcome, told, done, time.perf_counter() - began, resident("VmHWM"))


def _outcome(place: Path, whole: NDArray[np.float32], rate: int) -> tuple[str, str]:
    try:
        with stream(place, RATE) as blocks:
            kept = [block[: 4 * len(whole)] for block in blocks]
            lacking, source_rate = blocks.incomplete, blocks.source_rate
    except RejectedError as error:
        return "rejected", str(error)
    found = np.concatenate([np.zeros(0, np.float32), *kept])
    if not len(found):
        return "rejected", "no audio frames"  # as `audio.decode` does
    if lacking:
        return "warned", lacking
    length = f"{len(found) / RATE:.2f} s of {len(whole) / RATE:.2f} s"
    if len(found) < SHORTER * len(whole):
        share = len(found) / len(whole) * source_rate / rate
        return ("other rate" if source_rate != rate and share > SHORTER else "shorter"), f"{length} at {source_rate} Hz"
    before, after = _levels(whole), _levels(found)
    count = min(len(before), len(after))
    fell = (before[:count] > 0.02) & (after[:count] < 1e-4)
    if fell.mean() > SILENT:
        return "silenced", f"{fell.sum() * BLOCK / RATE:.2f} s of {length}"
    return "whole", ""
