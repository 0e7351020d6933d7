"""FLAC: heard to its end whatever the header says, silent where it is damaged."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import soundfile as sf
from helpers.music import music
from helpers.sound_files import differing, encoded, heard

from earmark.decode.audio import RejectedError, decode
from earmark.decode.check import header
from earmark.decode.stream import stream

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


def test_a_file_that_ends_within_its_first_frame_is_rejected(file):
    with pytest.raises(RejectedError, match="FLAC of which no frame can be decoded"):
        heard(file, FLAC[: FLAC.index(b"\xff\xf8") + 100], 16_000)


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


LOW = encoded(music(3 * 8_000, 8_000), 8_000, "FLAC", subtype="PCM_16")


@pytest.mark.parametrize("between", [b"", b"TAG" + bytes(125)])
@pytest.mark.parametrize("samples", [len(WAVE), 0])
def test_files_that_are_joined_are_all_heard(file, samples, between):
    one = announcing(samples)
    wave, lacking = heard(file, one + between + one + between + one, 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, np.tile(WAVE, 3), atol=2**-15)
    assert header(file).seconds == 15


def test_a_joined_file_of_another_rate_lasts_as_long_as_alone(file):
    wave, lacking = heard(file, FLAC + LOW, 16_000)
    assert lacking == ""
    assert len(wave) == (5 + 3) * 16_000


def test_damage_in_a_joined_file_is_told_at_its_place(file):
    data = bytearray(FLAC)
    data[len(FLAC) // 2] ^= 0x10
    wave, lacking = heard(file, FLAC + bytes(data), 16_000)
    assert len(wave) == 2 * len(WAVE)
    assert lacking.startswith(("damaged at 7.", "damaged at 6."))
    _, lacking = heard(file, FLAC[: len(FLAC) // 2] + FLAC, 16_000)
    assert lacking.endswith(" of 5.0 s: the file is cut off")
    wave, lacking = heard(file, FLAC + FLAC[:100], 16_000)
    assert len(wave) == len(WAVE)
    assert lacking == "ends at 5.0 s of 10.0 s: the file is cut off"


def with_picture(data: bytes, picture: bytes) -> bytes:
    """Return a FLAC with another block of metadata behind its first one."""
    return data[:42] + b"\x06" + len(picture).to_bytes(3, "big") + picture + data[42:]


@pytest.mark.parametrize("samples", [len(WAVE), 0])
@pytest.mark.parametrize("picture", [LOW, encoded(music(1000, 16_000), 16_000, "FLAC"), bytes(70_000)])
def test_pictures_are_no_music_even_if_they_are_flac(file, picture, samples):
    wave, lacking = heard(file, with_picture(announcing(samples), picture), 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)
    data = bytearray(with_picture(announcing(samples), picture))
    data[-len(FLAC) // 2] ^= 0x10
    wave, lacking = heard(file, bytes(data), 16_000)
    assert len(wave) == len(WAVE)
    assert lacking.startswith("damaged at ")


LONG = encoded(np.zeros(600 * 16_000, np.int16), 16_000, "FLAC", subtype="PCM_16")


@pytest.mark.parametrize("samples", [len(WAVE), 0])
@pytest.mark.parametrize("place", [LONG.find(b"\xff\xf8"), LONG.rfind(b"\xff\xf8")], ids=["a low number", "a high one"])
def test_what_looks_like_a_frame_behind_the_end_changes_nothing(file, place, samples):
    tag = b"TAG" + bytes(50) + LONG[place : place + 10].ljust(75, b"\0")
    wave, lacking = heard(file, announcing(samples) + tag, 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)
    assert header(file).seconds == 5


def test_the_frames_behind_damage_are_heard_without_a_number_of_samples(file):
    data = bytearray(announcing(0))
    data[data.rfind(b"\xff\xf8", 0, data.rfind(b"\xff\xf8"))] = 0
    wave, lacking = heard(file, bytes(data), 16_000)
    assert len(wave) == len(WAVE)
    assert lacking == "damaged at 4.6 s, 0.26 s are silent in all"


def test_a_stream_behind_whose_header_is_damaged_costs_itself_alone_and_is_told(tmp_path):
    sound = np.sin(np.arange(44_100) / 9) * 0.5
    sf.write(tmp_path / "one.flac", sound, 44_100)
    nothing = b"fLaC\0\0\0\x22" + bytes(40)
    (tmp_path / "joined.flac").write_bytes((tmp_path / "one.flac").read_bytes() + nothing)
    with stream(tmp_path / "joined.flac", 44_100) as blocks:
        assert sum(map(len, blocks)) == len(sound)
        assert blocks.incomplete == (
            "48 bytes behind it that begin as FLAC are not heard: a sampling rate of 0 Hz, it must be 1000 to 768000 "
            "Hz: its header is damaged"
        )
