"""FLAC: heard to its end whatever the header says, silent where it is damaged."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.music import music
from helpers.sound_files import differing, encoded, heard

from earmark.decode.audio import decode
from earmark.decode.check import header

WAVE = music(5 * 16_000, 16_000)
FLAC = encoded(WAVE, 16_000, "FLAC", subtype="PCM_16")
TOTAL = slice(21, 26)  # the low 4 bits of the first byte, and the others


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.flac"


def announcing(samples: int) -> bytes:
    data = bytearray(FLAC)
    data[TOTAL] = bytes([data[21] & 0xF0 | samples >> 32]) + (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("samples", [0, 1, 40_000])
def test_an_unknown_or_too_small_number_of_samples_cuts_nothing(file, samples):
    wave, lacking = heard(file, announcing(samples), 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)
    assert header(file).seconds == 5


def test_more_samples_than_there_are_is_told(file):
    wave, lacking = heard(file, announcing((1 << 36) - 1), 16_000)
    assert len(wave) == len(WAVE)
    assert lacking == "ends at 5.0 s of 4294967.3 s: the file is cut off"
    cut, lacking = heard(file, FLAC[: len(FLAC) // 2], 16_000)
    assert 1.5 * 16_000 < len(cut) < 3.5 * 16_000
    assert lacking == f"ends at {len(cut) / 16_000:.1f} s of 5.0 s: the file is cut off"


@pytest.mark.parametrize("number", [1, 50])
def test_damaged_frames_are_silent_and_the_others_stay_where_they_were(file, number):
    whole, _ = heard(file, FLAC, 16_000)
    places = np.random.default_rng(1).integers(len(FLAC) // 3, len(FLAC) // 2, number)
    data = bytearray(FLAC)
    for place in places:
        data[place] ^= 0x10
    wave, lacking = heard(file, bytes(data), 16_000)
    wrong = differing(wave, whole)
    assert 0 < len(wrong) < 2 * 16_000
    assert wrong[0] > 16_000
    assert wrong[-1] < 4 * 16_000
    assert not wave[wrong].any()
    assert lacking.startswith("damaged at ")


def test_a_rate_that_the_frames_contradict_is_that_of_the_frames(file):
    data = bytearray(FLAC)
    data[18] ^= 0x20  # of its 20 bits
    wave, _ = heard(file, bytes(data), 16_000)
    assert len(wave) == len(WAVE)


def test_silence_that_unpacks_to_much_needs_little_memory(file):
    file.write_bytes(encoded(np.zeros((20 * 192_000, 8), np.int16), 192_000, "FLAC", subtype="PCM_16"))
    tracemalloc.start()
    found = decode(file, 16_000, 16_000, 1, "center")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.silent
    assert file.stat().st_size < 300_000
    assert peak < 30e6  # at once it would be 123 MB


def test_a_header_with_another_size_of_frames_changes_nothing(file):
    data = bytearray(FLAC)
    data[8:12] = b"\xff\0\xff\0"  # libFLAC would fill up every frame of 4096 samples to 65,280
    wave, lacking = heard(file, bytes(data), 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)
