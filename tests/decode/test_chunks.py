"""What stands behind the samples of WAV, AIFF and their like, and whether the size of the samples is right."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from helpers.music import music
from helpers.sound_files import encoded, heard

WAVE = music(16_000, 16_000)
FILES = {form: encoded(WAVE, 16_000, form, subtype="PCM_16") for form in ("WAV", "RF64", "AIFF")}
NOISE = np.random.default_rng(0).bytes(20_000)
ID3V2 = b"ID3\x03\0\0" + bytes([0, 1, 28, 32]) + NOISE  # its size: seven bits a byte
ID3V1 = b"TAGA title" + bytes(118)
APE = [struct.pack("<8sIIII8x", b"APETAGEX", 2_000, 32 + len(NOISE), 1, flags) for flags in (0xA0000000, 0x80000000)]
TAGS = {
    "id3v2": ID3V2,
    "id3v1": ID3V1,
    "ape": APE[0] + NOISE + APE[1],
    "several": ID3V2 + APE[0] + NOISE + APE[1] + ID3V1,
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x"


def sized(data: bytes, size: int, whole: int | None = None) -> bytes:
    """Return a WAV that says another size of its samples, and of the whole file."""
    data = data[:40] + struct.pack("<I", size) + data[44:]
    return data if whole is None else data[:4] + struct.pack("<I", whole) + data[8:]


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("tag", TAGS)
def test_tags_behind_the_chunks_are_not_heard(file, form, tag):
    wave, lacking = heard(file, FILES[form] + TAGS[tag], 16_000)
    assert (len(wave), lacking) == (16_000, "")


@pytest.mark.parametrize("form", FILES)
def test_what_stands_behind_the_end_that_a_header_tells_is_not_heard_but_told(file, form):
    wave, lacking = heard(file, FILES[form] + NOISE, 16_000)
    whole = len(FILES[form])
    assert len(wave) == 16_000
    assert lacking == f"its header says {whole} bytes, and 20000 follow them, which are not heard"


@pytest.mark.parametrize("name", [b"abc\0", b"\0\0\0\0", b"\xa9one"])
def test_a_chunk_may_have_any_name_where_the_size_of_the_file_counts_it(file, name):
    data = FILES["WAV"] + name + struct.pack("<I", len(NOISE)) + NOISE
    wave, lacking = heard(file, sized(data, 32_000, len(data) - 8), 16_000)
    assert (len(wave), lacking) == (16_000, "")


def test_a_chunk_that_is_not_aligned_is_no_samples(file):
    data = encoded(WAVE[:9_999], 16_000, "WAV", subtype="PCM_U8")[: 44 + 9_999]
    data += b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + bytes(18)
    assert len(heard(file, data[:4] + struct.pack("<I", len(data) - 7) + data[8:], 16_000)[0]) == 9_999


@pytest.mark.parametrize("whole", [0, 36, 1_000, 32_036, 0xFFFFFFFF, 0x7FFFFFFF])
@pytest.mark.parametrize("size", [0, 1_000, 0xFFFFFFFF])
def test_the_size_of_a_recording_that_was_not_finished_is_no_end(file, size, whole):
    wave, lacking = heard(file, sized(FILES["WAV"], size, whole), 16_000)
    assert (len(wave), lacking) == (16_000, "")


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_tags_are_not_heard_where_the_size_is_unknown(file, size):
    assert len(heard(file, sized(FILES["WAV"], size, 0) + TAGS["ape"], 16_000)[0]) == 16_000


@pytest.mark.parametrize("form", ["W64", "CAF"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_samples_of_w64_and_caf_behind_a_size_that_is_too_small_are_heard(file, form, subtype):
    data = encoded(WAVE, 16_000, form, subtype=subtype)
    place = data.rindex(b"data") + (16 if form == "W64" else 4)
    wave, lacking = heard(
        file, data[:place] + struct.pack("<Q" if form == "W64" else ">q", 1_004) + data[place + 8 :], 16_000
    )
    assert (len(wave), lacking) == (16_000, "")
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)


@pytest.mark.parametrize("form", ["W64", "CAF"])
def test_a_chunk_behind_the_samples_of_w64_and_caf_is_not_heard(file, form):
    if form == "W64":
        chunk = b"list" + bytes(12) + struct.pack("<Q", 24 + len(NOISE)) + NOISE
    else:
        chunk = b"info" + struct.pack(">q", len(NOISE)) + NOISE
    assert len(heard(file, encoded(WAVE, 16_000, form, subtype="PCM_16") + chunk, 16_000)[0]) == 16_000
