"""Ogg: all streams of a chain, and silence where pages are lost."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.music import music, tone
from helpers.sound_files import differing, encoded, heard

from earmark.decode.audio import RejectedError

WAVE = music(8 * 48_000, 48_000)
VORBIS, OPUS = (encoded(WAVE, 48_000, "OGG", subtype=subtype) for subtype in ("VORBIS", "OPUS"))


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


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])
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


@pytest.mark.parametrize("data", [VORBIS, OPUS], ids=["vorbis", "opus"])
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


def test_ogg_without_audio_says_so(file):
    file.write_bytes(VORBIS.replace(b"\x01vorbis", b"\x80theora"))
    with pytest.raises(RejectedError, match="Ogg without audio"):
        heard(file, None)
