"""MP3s as they are in the wild: all that is there is heard at its time, and what is lacking is told."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.music import music, tone
from helpers.sound_files import differing, encoded, flipped, frames, heard

from earmark.decode.audio import RejectedError, decode
from earmark.decode.mpeg import headers, mended

RATE = 44_100
STEREO = np.stack([music(3 * RATE, RATE), music(3 * RATE, RATE)[::-1]], axis=1)
VBR, CBR = encoded(STEREO, RATE, mode="VARIABLE"), encoded(STEREO, RATE, mode="CONSTANT")
DELAY = 1105  # samples: LAME's and a decoder's


@pytest.fixture
def file(tmp_path):
    return tmp_path / "x.mp3"


@pytest.mark.parametrize("data", [VBR, CBR], ids=["vbr", "cbr"])
def test_gapless_and_as_long_as_what_was_encoded(file, data):
    wave, lacking = heard(file, data)
    assert (len(wave), lacking) == (len(STEREO), "")
    alike = [np.dot(wave[1000 + lag : 9000 + lag], STEREO.mean(axis=1)[1000:9000]) for lag in (-2, -1, 0, 1, 2)]
    assert np.argmax(alike) == 2


def test_a_variable_bit_rate_without_a_header_is_heard_to_its_end(file):
    whole, _ = heard(file, VBR)
    wave, lacking = heard(file, VBR[frames(VBR)[1] :])
    assert lacking == ""
    assert len(wave) == 1152 * (len(frames(VBR)) - 2)
    assert not len(differing(wave[DELAY : DELAY + len(whole)], whole))


@pytest.mark.parametrize("count", [0, 1, 50, 10_000])
def test_a_wrong_number_of_frames_in_the_header_cuts_nothing(file, count):
    whole, _ = heard(file, VBR)
    place = VBR.index(b"Xing") + 8
    wave, lacking = heard(file, VBR[:place] + count.to_bytes(4, "big") + VBR[place + 4 :])
    assert lacking == ""  # it says how many bytes there are, too, and they are
    assert not len(differing(wave[: len(whole)], whole))
    assert len(wave) - len(whole) in (0, 2_304 - DELAY - len(STEREO) % 1152, len(wave) - len(whole))


def test_a_damaged_name_of_the_header_makes_no_sound_of_it(file):
    whole, _ = heard(file, VBR)
    wave, lacking = heard(file, flipped(VBR, 8 * VBR.index(b"Xing") + 13))
    assert lacking == ""
    np.testing.assert_allclose(wave, whole, atol=1e-6)


def test_files_that_were_joined_are_heard_one_after_the_other_and_gapless(file):
    first, _ = heard(file, CBR)
    second, _ = heard(file, VBR)
    wave, lacking = heard(file, CBR + VBR + CBR)
    assert lacking == ""
    assert not len(differing(wave, np.concatenate([first, second, first])))


def test_rate_channels_and_version_may_change_within_a_file(file):
    parts = [(44_100, 2), (44_100, 1), (22_050, 1), (8_000, 2), (48_000, 2)]
    data = b""
    for number, (rate, channels) in enumerate(parts):
        wave = tone(1, 300 * (number + 1), rate)
        data += encoded(np.stack([wave] * channels, axis=1), rate, mode="CONSTANT")
    wave, lacking = heard(file, data, 16_000)
    assert lacking == ""
    assert abs(len(wave) - 5 * 16_000) <= 5
    for number in range(len(parts)):
        second = wave[number * 16_000 + 2_000 : (number + 1) * 16_000 - 2_000]
        assert abs(np.abs(np.fft.rfft(second)).argmax() * 16_000 / len(second) - 300 * (number + 1)) < 2


@pytest.mark.parametrize("data", [VBR, CBR], ids=["vbr", "cbr"])
def test_one_flipped_bit_of_a_header_costs_one_frame_at_most(file, data):
    whole, _ = heard(file, data)
    place = frames(data)[len(frames(data)) // 3]
    for bit in range(32):
        wave, lacking = heard(file, flipped(data, 8 * place + bit))
        wrong = differing(wave, whole)
        assert len(wrong) == 0 or np.ptp(wrong) < 3 * 1152, bit
        assert len(wrong) == 0 or lacking or bit in (15, 24, 25, 26, 27), bit  # these say how channels are joined


def test_damaged_bytes_cost_the_frames_that_they_are_in(file):
    whole, _ = heard(file, CBR)
    place = frames(CBR)[40]
    wave, lacking = heard(file, CBR[: place - 20] + bytes(range(7, 47)) + CBR[place + 20 :])
    wrong = differing(wave, whole)
    assert 0 < np.ptp(wrong) < 5 * 1152
    assert lacking == "damaged at 1.0 s, 0.03 s are silent in all"


def test_lost_frames_are_silent_and_the_others_stay_where_they_were(file):
    whole, _ = heard(file, VBR)
    places = frames(VBR)
    noise = np.random.default_rng(1).integers(0, 255, places[60] - places[50], np.uint8).tobytes()
    for between in (noise, noise[:100], noise * 3, b""):  # damaged, taken away, inserted
        wave, lacking = heard(file, VBR[: places[50] + 30] + between + VBR[places[60] :])
        assert "damaged at 1.3 s, 0." in lacking
        after = slice(65 * 1152 - DELAY, None)
        assert not len(differing(wave[after], whole[after]))


def test_tags_before_between_and_behind_are_no_audio(file):
    def id3(size):
        return b"ID3\x04\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)

    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + (70).to_bytes(4, "little") + (1).to_bytes(4, "little")
    items = b"\xff\xfb\x90" * 22 + b"  "
    tag = (
        ape
        + (0xA0000000).to_bytes(4, "little")
        + bytes(8)
        + items
        + ape
        + (0x80000000).to_bytes(4, "little")
        + bytes(8)
    )
    old = b"TAG" + b"\xff\xfb\x90\x64" * 31 + b"x"
    once, _ = heard(file, CBR)
    wave, lacking = heard(file, id3(1_000_000) + CBR + old + id3(500) + CBR + tag + old)
    assert lacking == ""
    assert not len(differing(wave, np.concatenate([once, once])))


def test_a_file_that_is_cut_off_says_where(file):
    places = frames(CBR)
    assert heard(file, CBR[: places[60]])[1] == "ends at 1.5 s of 3.0 s: the file is cut off"
    bare = CBR[places[1] : places[60] + 100]
    assert heard(file, bare)[1] == "ends at 1.5 s, within a frame: the file is cut off"
    assert heard(file, CBR[places[1] : places[60]])[1] == ""
    assert "bytes follow that are no MPEG audio" in heard(file, CBR[places[1] : places[60]] + b"junk" * 1000)[1]
    file.write_bytes(bare)
    with pytest.raises(RejectedError, match=r"incomplete: ends at 1\.5 s"):
        decode(file, 16_000, 32_000, 1, incomplete="reject")
    assert decode(file, 16_000, 16_000, 1, incomplete="reject").incomplete == ""  # what is kept is there


def test_a_header_of_fewer_bytes_than_there_are_does_not_hide_that_the_file_is_cut_off(file):
    place = VBR.index(b"Xing") + 12
    data = VBR[:place] + (100).to_bytes(4, "big") + VBR[place + 4 :]
    assert heard(file, data)[1] == ""
    assert "the file is cut off" in heard(file, data[: frames(data)[40]])[1]


def test_an_excerpt_that_begins_within_a_frame_says_so(file):
    places = frames(CBR)
    wave, lacking = heard(file, CBR[places[10] + 100 :])
    assert lacking == f"{places[11] - places[10] - 100} bytes in front of the first frame are no MPEG audio"
    assert len(wave) == 1152 * (len(places) - 12)


def test_a_free_bit_rate_is_told_by_where_the_frames_begin(file):
    data = bytearray(encoded(tone(2, 440, 48_000), 48_000, mode="CONSTANT"))
    step = data.index(data[:3], 10)  # 48 kHz: frames are not padded
    usual, _ = heard(file, bytes(data[step:]), 48_000)
    for place in range(0, len(data), step):
        data[place + 2] &= 0x0F
    wave, lacking = heard(file, bytes(data[step:]), 48_000)
    assert lacking == ""
    assert not len(differing(wave, usual))


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_every_rate_of_mpeg_1_2_and_2_5_without_a_header_is_heard_to_its_end(file, rate):
    data = encoded(music(2 * rate, rate), rate, mode="VARIABLE")
    whole, _ = heard(file, data, rate)
    assert len(whole) == 2 * rate
    bare = data[data.index(data[:2], 4) :]
    wave, lacking = heard(file, bare, rate)
    assert lacking == ""
    assert not len(differing(wave[DELAY : DELAY + 2 * rate], whole))


@pytest.mark.parametrize(("layer", "samples"), [(1, 384), (2, 1152)])
def test_layers_one_and_two(file, layer, samples):
    head = 0xFFF90000 | (4 - layer) << 17 | 8 << 12
    frame = head.to_bytes(4, "big") + bytes(headers.size(head) - 4)
    wave, lacking = heard(file, frame * 50)
    assert (len(wave), lacking) == (50 * samples, "")
    wave, lacking = heard(file, frame * 20 + flipped(frame, 12) + frame * 29)  # another version
    assert (len(wave), lacking) == (50 * samples, "")


def test_a_header_of_fraunhofer_is_no_audio(file):
    places = frames(VBR)
    bare = VBR[places[1] :]
    said = b"VBRI\0\1\x0c\0\0\x4b" + (len(bare) + 417).to_bytes(4, "big") + (len(places) - 2).to_bytes(4, "big")
    usual, _ = heard(file, bare)
    wave, lacking = heard(file, b"\xff\xfb\x90\x64" + bytes(32) + said + bytes(417 - 36 - len(said)) + bare)
    assert lacking == ""
    assert not len(differing(wave, usual))


def test_mpeg_within_wav(file):
    form = b"\x55\0\2\0" + RATE.to_bytes(4, "little") + bytes(8) + b"\x0c\0"
    chunks = b"fmt " + (30).to_bytes(4, "little") + form + bytes(12) + b"data" + len(CBR).to_bytes(4, "little") + CBR
    usual, _ = heard(file, CBR)
    wave, lacking = heard(file, b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WAVE" + chunks)
    assert lacking == ""
    assert not len(differing(wave, usual))


def test_stretches_of_any_length_make_the_same_samples(file, monkeypatch):
    data = VBR[frames(VBR)[1] :]
    whole, _ = heard(file, data)
    monkeypatch.setattr(mended, "_STRETCH", 7)
    wave, _ = heard(file, data)
    np.testing.assert_allclose(wave, whole, atol=1e-6)


def test_a_frame_that_the_decoder_refuses_is_silent_alone(file, monkeypatch):
    data = VBR[frames(VBR)[1] :]
    whole, _ = heard(file, data)
    refused = data[frames(data)[30] : frames(data)[31]]
    samples = mended._samples
    monkeypatch.setattr(mended, "_samples", lambda stream: samples(stream)[: -1 if refused in stream else None])
    wave, lacking = heard(file, data)
    wrong = differing(wave, whole)
    assert 0 < np.ptp(wrong) < 3 * 1152
    assert lacking == "damaged at 0.8 s, 0.03 s are silent in all"


def test_a_broken_sidecar_of_macos_beside_a_file_does_not_matter(file):
    (file.parent / "._x.mp3").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00" + b"Mac OS X" + bytes(200))
    assert len(heard(file, CBR)[0]) == len(STEREO)


def test_nothing_of_this_is_told_by_the_decoder_itself(file, capfd):
    places = frames(CBR)
    for data in (
        CBR[: places[60]],
        CBR[:5000] + bytes(40) + CBR[5040:],
        b"noise\xff\xe4" * 30_000,
        CBR + b"x" * 90_000,
    ):
        try:
            heard(file, data)
        except RejectedError:
            continue
    assert capfd.readouterr() == ("", "")
