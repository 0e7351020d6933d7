"""Ogg: all streams of a chain, and silence where pages are lost."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from helpers.music import music, tone
from helpers.sound_files import differing, encoded, heard

from earmark.decode.audio import RejectedError, stream
from earmark.decode.ogg_pages import checksum

WAVE = music(8 * 48_000, 48_000)
VORBIS, OPUS = (encoded(WAVE, 48_000, "OGG", subtype=subtype) for subtype in ("VORBIS", "OPUS"))
BOTH = pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.ogg"


def pages(data: bytes) -> list[int]:
    """Return where the pages begin, and where the last one ends."""
    places = [0]
    while data[places[-1] : places[-1] + 4] == b"OggS":
        count = data[places[-1] + 26]
        places.append(places[-1] + 27 + count + sum(data[places[-1] + 27 : places[-1] + 27 + count]))
    return places


def split(data: bytes) -> list[bytes]:
    """Return the pages of a file."""
    return [data[a:b] for a, b in itertools.pairwise(pages(data))]


def page(content: bytes, number: int, granule: int, flags: int = 0, whole: bool = True) -> bytes:
    """Return a page that one packet ends, or else fills."""
    segments = bytes([255] * (len(content) // 255)) + (bytes([len(content) % 255]) if whole else b"")
    head = b"OggS\0" + struct.pack("<BqIII", flags, granule, 7, number, 0) + bytes([len(segments)]) + segments
    return sealed(head + content)


def sealed(one: bytes) -> bytes:
    """Return a page with its checksum."""
    return one[:22] + struct.pack("<I", checksum(one)) + one[26:]


def later(data: bytes, samples: int) -> bytes:
    """Return a stream as it is recorded from a broadcast that began before."""
    found = []
    for one in split(data):
        granule = int.from_bytes(one[6:14], "little")
        found.append(sealed(one[:6] + struct.pack("<q", granule + samples * (granule > 0)) + one[14:]))
    return b"".join(found)


def with_large_comments(data: bytes) -> bytes:
    """Return a stream of Opus with a picture of 200 kB among its comments."""
    first, _, *rest = split(data)
    serial = first[14:18]
    comments = b"OpusTags" + struct.pack("<III", 0, 1, 200_000) + b"PICTURE=" + b"A" * 199_992
    size = 255 * 255
    pieces = [comments[start : start + size] for start in range(0, len(comments), size)]
    made = [
        page(one, 1 + i, 0 if i == len(pieces) - 1 else -1, bool(i), i == len(pieces) - 1)
        for i, one in enumerate(pieces)
    ]
    made += [one[:18] + struct.pack("<I", 1 + len(pieces) + i) + one[22:] for i, one in enumerate(rest)]
    return first + b"".join(sealed(one[:14] + serial + one[18:]) for one in made)


def in_ogg(flac: bytes) -> list[bytes]:
    """Return the pages of FLAC in Ogg as ffmpeg writes it, but that its packets are all of one size."""
    packets = [flac[start : start + 4_000] for start in range(42, len(flac), 4_000)]
    first = b"\x7fFLAC\1\0\0\1" + flac[:42]
    granules = [0, *(i + 1 for i in range(len(packets) - 1))]
    last = len(packets) - 1
    return [page(first, 0, 0, 2), *(page(one, 1 + i, granules[i], 4 * (i == last)) for i, one in enumerate(packets))]


@BOTH
def test_as_long_as_what_was_encoded(file, data):
    wave, lacking = heard(file, data, 48_000)
    assert (len(wave), lacking) == (len(WAVE), "")
    assert np.corrcoef(wave, WAVE)[0, 1] > 0.95


def test_all_streams_of_a_chain_are_heard_at_one_rate(file):
    other = encoded(np.stack([tone(2, 440, 22_050)] * 2, axis=1), 22_050, "OGG", subtype="VORBIS")
    first, _ = heard(file, VORBIS, 16_000)
    second, _ = heard(file, other, 16_000)
    wave, lacking = heard(file, VORBIS + other + VORBIS, 16_000)
    assert lacking == ""
    np.testing.assert_array_equal(wave, np.concatenate([first, second, first]))


@BOTH
@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_lost_page_is_silent_and_the_others_stay_where_they_were(file, data, how):
    whole, _ = heard(file, data, 48_000)
    places = pages(data)
    first, last = places[len(places) // 2], places[len(places) // 2 + 1]
    wave, lacking = heard(file, data[:first] + (b"" if how == "gone" else bytes(last - first)) + data[last:], 48_000)
    wrong = differing(wave, whole, 1e-4 if data is VORBIS else 0.05)
    assert 0 < np.ptp(wrong) < 4 * 48_000
    assert len(whole) - wrong[-1] > 48_000
    assert lacking.startswith("damaged at ")
    assert np.ptp(wrong) / 48_000 == pytest.approx(float(lacking.split()[4]), abs=0.3)


def test_a_stream_without_its_last_page_is_cut_off(file):
    data = VORBIS[: pages(VORBIS)[-3]]
    wave, lacking = heard(file, data, 48_000)
    assert lacking == f"ends at {len(wave) / 48_000:.1f} s without its last page: the file is cut off"
    assert 4 < len(wave) / 48_000 < 8


def test_a_recording_of_a_broadcast_begins_at_any_time(file):
    """Its first pages are gone, and those of the headers stand in front of what is left."""
    places = pages(VORBIS)
    wave, _ = heard(file, VORBIS[: places[2]] + VORBIS[places[6] :], 48_000)
    assert len(wave) <= len(WAVE)


@BOTH
def test_a_broadcast_of_which_a_page_is_lost_is_as_long_as_what_was_recorded(file, data):
    whole, _ = heard(file, data, 48_000)
    ones = split(later(data, 600 * 48_000))
    middle = len(ones) // 2
    wave, lacking = heard(file, b"".join(ones[:middle] + ones[middle + 1 :]), 48_000)
    assert len(whole) - len(differing(wave, whole, 0.05)) > 4 * 48_000
    assert lacking.startswith("damaged at ")
    wave, lacking = heard(file, b"".join(ones[:2] + ones[4:]), 48_000)
    assert abs(len(wave) - len(whole)) < 48_000
    assert lacking.startswith("damaged at 0.0 s") or data is VORBIS


@BOTH
def test_the_length_of_a_broadcast_is_known_before_it_is_decoded(file, data):
    file.write_bytes(later(data, 600 * 48_000))
    with stream(file, 48_000) as blocks:
        assert blocks.expected == 8


def test_opus_without_its_first_page_stays_where_it_was(file):
    whole, _ = heard(file, OPUS, 48_000)
    wave, lacking = heard(file, OPUS[: pages(OPUS)[2]] + OPUS[pages(OPUS)[3] :], 48_000)
    assert lacking.startswith("damaged at 0.0 s")
    assert len(wave) == len(whole)
    np.testing.assert_allclose(wave[-4 * 48_000 :], whole[-4 * 48_000 :], atol=0.01)


def test_a_lost_page_is_silent_behind_large_comments(file):
    data = with_large_comments(OPUS)
    whole, lacking = heard(file, data, 48_000)
    assert (len(whole), lacking) == (len(WAVE), "")
    ones = split(data)
    wave, lacking = heard(file, b"".join(ones[:-4] + ones[-3:]), 48_000)
    assert len(wave) == len(whole)
    assert lacking.startswith("damaged at ")


def test_a_run_that_cannot_be_decoded_is_silent(file):
    """libsndfile takes a last page of Opus for malformed if it stands alone."""
    ones = split(OPUS)
    wave, lacking = heard(file, b"".join(ones[:-2] + ones[-1:]), 48_000)
    assert len(wave) == len(WAVE)
    assert lacking.startswith("damaged at ")


def test_flac_in_ogg_is_heard_as_flac_is(file):
    flac = encoded(WAVE, 48_000, "FLAC", subtype="PCM_16")
    whole, _ = heard(file, flac, 48_000)
    ones = in_ogg(flac)
    wave, lacking = heard(file, b"".join(ones), 48_000)
    assert lacking == ""
    np.testing.assert_array_equal(wave, whole)
    wave, lacking = heard(file, b"".join(ones[:40] + ones[41:]), 48_000)
    assert 0 < len(differing(wave, whole)) < 48_000
    assert lacking.startswith("damaged at ")
    assert "cut off" in heard(file, b"".join(ones[:-3]), 48_000)[1]


def test_flac_in_ogg_that_is_chained_says_so(file):
    one = b"".join(in_ogg(encoded(WAVE, 48_000, "FLAC", subtype="PCM_16")))
    with pytest.raises(RejectedError, match="FLAC in Ogg that is chained with other streams: convert it to FLAC"):
        heard(file, VORBIS + one)


def test_ogg_without_audio_says_so(file):
    file.write_bytes(VORBIS.replace(b"\x01vorbis", b"\x80theora"))
    with pytest.raises(RejectedError, match="Ogg without audio"):
        heard(file, None)
