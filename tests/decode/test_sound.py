"""WAV, AIFF, AU, CAF and their like: what the header says is compared with what the file holds."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from helpers.music import music, tone
from helpers.sound_files import encoded, heard

from earmark.decode.audio import RejectedError, decode, describe
from earmark.decode.check import header

WAVE = music(16_000, 16_000)
WAV = encoded(WAVE, 16_000, "WAV", subtype="PCM_16")
LOSSLESS = [
    (form, subtype)
    for form in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF")
    for subtype in ("PCM_16", "PCM_24", "FLOAT")
] + [("FLAC", "PCM_16"), ("FLAC", "PCM_24")]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.wav"


def with_field(data: bytes, name: bytes, offset: int, form: str, value: float) -> bytes:
    """Return a file with another value ``offset`` bytes behind the name of a chunk."""
    place = data.index(name) + offset
    packed = struct.pack(form, value)
    return data[:place] + packed + data[place + len(packed) :]


@pytest.mark.parametrize(("form", "subtype"), LOSSLESS)
def test_lossless_files_come_back_sample_by_sample(file, form, subtype):
    wave, lacking = heard(file, encoded(WAVE, 16_000, form, subtype=subtype), 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, WAVE, atol=0 if subtype == "FLOAT" else 2**-15 if subtype == "PCM_16" else 2**-23)


def w64(samples: bytes, kind: int, bits: int) -> bytes:
    """Return a W64 at 16 kHz whose kind of samples stands in an extensible header, as ffmpeg writes it."""
    rest = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    align = bits // 8
    form = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16_000, 16_000 * align, align, bits, 22, bits, 4, kind)
    form = (form + bytes.fromhex("000000001000800000aa00389b71")).ljust(40, b"\0")
    chunks = b"fmt " + rest + struct.pack("<Q", 24 + len(form)) + form
    chunks += b"data" + rest + struct.pack("<Q", 24 + len(samples)) + samples
    start = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    return start + struct.pack("<Q", 40 + len(chunks)) + b"wave" + rest + chunks


@pytest.mark.parametrize(
    ("kind", "bits", "subtype"),
    [(1, 16, "PCM_16"), (1, 32, "PCM_32"), (3, 32, "FLOAT"), (3, 64, "DOUBLE"), (6, 8, "ALAW"), (7, 8, "ULAW")],
)
def test_a_w64_with_an_extensible_header_is_heard_as_what_it_is(file, kind, bits, subtype):
    samples = encoded(WAVE, 16_000, "RAW", subtype=subtype)
    wave, lacking = heard(file, w64(samples, kind, bits), 16_000)
    assert (len(wave), lacking) == (16_000, "")
    np.testing.assert_allclose(wave, WAVE, atol=2**-15 if bits > 8 else 0.02)
    assert "W64" in describe(file)


def test_a_w64_of_samples_that_nobody_knows_is_rejected(file):
    with pytest.raises(RejectedError, match="not decodable: W64 with 16 bits of the kind 0x3, convert it to FLAC"):
        heard(file, w64(bytes(2_000), 3, 16))


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "ULAW"), ("AU", "ULAW"), ("WAV", "IMA_ADPCM"), ("AIFF", "ALAW")])
def test_compressed_samples_are_as_long_as_they_were(file, form, subtype):
    wave, lacking = heard(file, encoded(WAVE, 16_000, form, subtype=subtype), 16_000)
    assert lacking == ""
    assert 0 <= len(wave) - len(WAVE) < 1024
    assert np.corrcoef(wave[: len(WAVE)], WAVE)[0, 1] > 0.99


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AIFF", "AU"])
def test_a_file_that_is_cut_off_says_where(file, form):
    data = encoded(np.tile(WAVE, 3), 16_000, form, subtype="PCM_16")
    wave, lacking = heard(file, data[: len(data) // 2], 16_000)
    assert abs(len(wave) - 24_000) < 100
    assert lacking == "ends at 1.5 s of 3.0 s: it is damaged or cut off"
    assert header(file).incomplete == lacking
    assert lacking in describe(file)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 100, 20_000])
def test_a_wav_whose_size_is_unknown_or_too_small_is_heard_to_its_end(file, size):
    wave, lacking = heard(file, with_field(WAV, b"data", 4, "<I", size), 16_000)
    assert (len(wave), lacking) == (16_000, "")
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)


def test_what_follows_the_samples_is_not_heard(file):
    chunk = b"LIST" + struct.pack("<I", 2_000) + b"INFO" + bytes(range(256)) * 7 + bytes(204)
    assert len(heard(file, WAV + chunk, 16_000)[0]) == 16_000
    assert len(heard(file, WAV + chunk[:1_000], 16_000)[0]) == 16_000  # cut off behind the samples
    assert len(heard(file, WAV + bytes(500), 16_000)[0]) == 16_000


def test_a_wav_of_more_than_4_gb_is_as_long_as_its_bytes(file):
    seconds = 140_000
    file.write_bytes(with_field(WAV, b"data", 4, "<I", 2 * 16_000 * seconds % (1 << 32)))
    with file.open("r+b") as opened:
        opened.truncate(44 + 2 * 16_000 * seconds)  # a hole, which takes no space
    found = header(file)
    assert (found.seconds, found.reason, found.incomplete) == (seconds, "", "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_field(WAV, b"fmt ", 12, "<I", 1), "a sampling rate of 1 Hz, it must be 1000 to 768000 Hz"),
        (with_field(WAV, b"fmt ", 12, "<I", 128), "a sampling rate of 128 Hz"),
        (with_field(WAV, b"fmt ", 12, "<I", 4_000_000_000), r"a sampling rate of 4e\+09 Hz"),
        (with_field(WAV, b"fmt ", 10, "<H", 0), "0 channels, there may be 1 to 64"),
        (with_field(WAV, b"fmt ", 10, "<H", 1_000), "1000 channels"),
    ],
)
def test_what_no_music_has_is_rejected_by_name(file, data, reason):
    file.write_bytes(data)
    with pytest.raises(RejectedError, match=reason):
        decode(file, 16_000, 16_000, 0)
    assert reason.split()[0] in header(file).reason


def test_a_rate_that_the_header_itself_contradicts_is_told(file):
    told = "its header says 2000 Hz, and by its bytes a second 16000 Hz"
    assert heard(file, with_field(WAV, b"fmt ", 12, "<I", 2_000), 16_000)[1] == told


def test_samples_behind_the_bytes_of_the_file_are_never_made_up(file):
    """A header that says 125 times as many samples as there are."""
    data = encoded(WAVE, 16_000, "WAV", subtype="FLOAT")
    wave, lacking = heard(file, with_field(data, b"data", 4, "<I", 125 * 4 * 16_000), 16_000)
    assert len(wave) == 16_000
    assert lacking == "ends at 1.0 s of 125.0 s: it is damaged or cut off"


def test_channels_are_averaged_whatever_their_number(file):
    many = np.stack([tone(1, 440), np.zeros(16_000, np.float32)] * 4, axis=1)
    wave, _ = heard(file, encoded(many, 16_000, "WAV", subtype="FLOAT"), 16_000)
    np.testing.assert_allclose(wave, tone(1, 440) / 2, atol=1e-7)


def test_samples_of_which_the_size_is_unknown_are_lacking_if_the_whole_file_is_too_short(file):
    wave, lacking = heard(file, with_field(WAV, b"data", 4, "<I", 0)[:20_000], 16_000)
    assert len(wave) == 9_978
    assert lacking == "its header says 32044 bytes, and the file has 20000: it is damaged or cut off"


def test_an_au_that_skips_some_of_its_samples_says_so(file):
    data = bytearray(encoded(WAVE, 16_000, "AU", subtype="PCM_16"))
    data[4:12] = struct.pack(">II", 20_000, 1_000)  # where the samples begin, and their bytes
    assert heard(file, bytes(data), 16_000)[1] == "its header says 1000 bytes of samples, and 12024 follow it"
    data[4:12] = struct.pack(">II", 2, 0xFFFFFFFF)
    assert heard(file, bytes(data), 16_000)[1]


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_compressed_samples_behind_a_size_that_is_too_small_are_told(file, subtype):
    data = encoded(WAVE, 16_000, "WAV", subtype=subtype)
    there = len(data) - data.index(b"data") - 8
    _, lacking = heard(file, with_field(data, b"data", 4, "<I", 1_024), 16_000)
    assert lacking == f"its header says 1024 bytes of samples, and {there} follow it"


@pytest.mark.parametrize("blocks", [49, 50])
@pytest.mark.parametrize("form", ["WAV", "W64"])
def test_gsm_has_no_more_samples_than_blocks(file, form, blocks):
    """Two frames of 32.5 bytes stand in a block. libsndfile makes up one more behind an odd number of them."""
    data = encoded(WAVE, 8_000, form, subtype="GSM610")
    data = with_field(data, b"data", 4 if form == "WAV" else 16, "<I", 65 * blocks + (0 if form == "WAV" else 24))
    start = data.index(b"data") + (8 if form == "WAV" else 24)
    assert len(heard(file, data[: start + 65 * blocks], 8_000)[0]) == 320 * blocks


def test_chunks_that_lead_past_the_samples_are_told(file):
    data = encoded(WAVE, 16_000, "W64", subtype="PCM_16")
    place = data.index(b"fmt ") + 16
    wave, lacking = heard(file, data[:place] + struct.pack("<Q", 0xFFFF << 32 | 40) + data[place + 8 :], 16_000)
    assert len(wave) == 16_000
    assert lacking == "its header is damaged: it says of no samples where they stand"


def test_an_aiff_whose_rate_is_beyond_all_numbers_is_rejected(file):
    data = encoded(WAVE, 16_000, "AIFF", subtype="PCM_16")
    place = data.index(b"COMM") + 16
    with pytest.raises(RejectedError, match="a sampling rate of inf Hz"):
        heard(file, data[:place] + b"\x7f\xfe" + data[place + 2 :], 16_000)


def test_a_packet_of_apple_lossless_that_cannot_be_decoded_is_told(file):
    wave = np.tile(WAVE, 3)
    data = bytearray(encoded(wave, 16_000, "CAF", subtype="ALAC_16"))
    assert heard(file, bytes(data), 16_000)[1] == ""
    place = data.index(b"data") + 16
    data[place + 15_000 : place + 15_000] = bytes([255] * 4)  # from here on nothing is where it should be
    found, lacking = heard(file, bytes(data), 16_000)
    assert not found[20_000:].any()
    assert lacking == "damaged at 0.8 s, 2.30 s are silent in all"
    quiet = encoded(np.concatenate([wave, np.zeros(30_000, np.float32)]), 16_000, "CAF", subtype="ALAC_16")
    assert heard(file, quiet, 16_000)[1] == ""


def test_a_voc_is_as_long_as_its_block(file):
    data = encoded(WAVE, 16_000, "VOC", subtype="PCM_16")
    wave, lacking = heard(file, data, 16_000)
    assert lacking == ""
    np.testing.assert_allclose(wave, WAVE, atol=2**-15)
    wave, lacking = heard(file, data[: len(data) // 2], 16_000)
    assert abs(len(wave) - 8_000) < 20
    assert lacking == "ends at 0.5 s of 1.0 s: it is damaged or cut off"


def test_a_voc_of_several_blocks_is_rejected_as_their_headers_would_be_heard(file):
    data = encoded(WAVE, 16_000, "VOC", subtype="PCM_U8")
    with pytest.raises(RejectedError, match="not decodable: VOC of more than one block, convert it to FLAC"):
        heard(file, data[:-1] + b"\x02\x10\0\0" + bytes(16) + b"\0")
