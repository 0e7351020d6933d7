"""Audio files of all kinds become mono float32 clips of one rate and length, or are rejected with a reason."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import soundfile
import soundfile as sf
import soxr
import torch
from helpers.music import music, tone, write_mp3

from earmark import representations
from earmark.config import RepresentationConfig
from earmark.decode.audio import RejectedError, Stream, cut, decode, decode_whole, describe, stream
from earmark.decode.stream import LOUDEST


def peak_hz(wave: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax() * rate / len(wave))


def test_a_clip_is_cut_to_the_exact_length(tmp_path):
    decoded = decode(write_mp3(tmp_path / "x.mp3", tone(3, 440)), 16_000, 32_000, 1)
    assert decoded.waves[0].shape == (32_000,)
    assert decoded.waves[0].dtype == np.float32
    assert decoded.padded == 0
    assert abs(peak_hz(decoded.waves[0], 16_000) - 440) < 1


def test_a_short_clip_is_padded_with_zeros_at_its_end(tmp_path):
    decoded = decode(write_mp3(tmp_path / "x.mp3", tone(8, 440)), 16_000, 465_984, 1)
    assert decoded.waves[0].shape == (465_984,)
    assert 465_984 - 8 * 16_000 - 4000 < decoded.padded <= 465_984 - 8 * 16_000
    assert not decoded.waves[0][-decoded.padded :].any()


def test_stereo_at_another_rate_is_averaged_and_resampled(tmp_path):
    left, right = tone(4, 440, 44_100), tone(4, 1000, 44_100)
    decoded = decode(write_mp3(tmp_path / "x.mp3", np.stack([left, right], 1), 44_100), 16_000, 48_000, 1)
    spectrum = np.abs(np.fft.rfft(decoded.waves[0] * np.hanning(48_000)))
    hz = np.arange(len(spectrum)) / 3
    assert abs(hz[np.where(hz < 700, spectrum, 0).argmax()] - 440) < 1
    assert abs(hz[np.where(hz > 700, spectrum, 0).argmax()] - 1000) < 1


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_other_formats_are_known_by_content_not_by_name(tmp_path, kind):
    sf.write(tmp_path / "x.mp3", tone(2, 440), 16_000, format=kind)
    assert abs(peak_hz(decode(tmp_path / "x.mp3", 16_000, 32_000, 1).waves[0], 16_000) - 440) < 1


def test_wav_samples_come_back_exactly(tmp_path):
    wave = tone(1, 440)
    sf.write(tmp_path / "x.wav", wave, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(decode(tmp_path / "x.wav", 16_000, 16_000, 0).waves[0], wave)


def test_unusable_files_are_rejected_with_a_reason(tmp_path):
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("this is no music\n" * 500)
    write_mp3(tmp_path / "short.mp3", tone(0.5, 440))
    sf.write(tmp_path / "nan.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    for name, reason in {
        "gone.mp3": "no such file",
        "empty.mp3": r"empty file \(0 bytes\)",
        "text.mp3": "text, no audio",
        "short.mp3": r"too short: 0\.\d+ s, at least 1 s are needed",
        "nan.wav": "samples that are not finite",
    }.items():
        with pytest.raises(RejectedError, match=reason):
            decode(tmp_path / name, 16_000, 16_000, 1.0)


def test_a_truncated_file_gives_what_it_holds_and_the_rest_is_padded(tmp_path):
    path = write_mp3(tmp_path / "x.mp3", tone(10, 440))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    decoded = decode(path, 16_000, 160_000, 1)
    assert 70_000 < decoded.padded < 90_000
    assert abs(peak_hz(decoded.waves[0][:64_000], 16_000) - 440) < 1


def test_describe_states_length_rate_channels_and_level(tmp_path):
    sf.write(tmp_path / "x.wav", np.full((16_000, 2), 0.5), 16_000)
    assert describe(tmp_path / "x.wav") == "1.00 s, 16000 Hz, 2 channels, WAV, peak -6.0 dBFS, RMS -6.0 dBFS"
    with pytest.raises(RejectedError, match="no such file"):
        describe(tmp_path / "y.wav")


@pytest.mark.parametrize(
    ("length", "starts"), [(5, [0]), (10, [0]), (11, [0]), (12, [0, 2]), (20, [0, 10]), (25, [0, 10, 15])]
)
def test_segments_follow_each_other_and_the_last_ends_with_the_wave_or_almost(length, starts):
    wave = np.arange(1, length + 1, dtype=np.float32)
    pieces = cut(wave, 10, "segments")
    assert pieces.shape == (len(starts), 10)
    for row, start in zip(pieces, starts, strict=True):
        expected = wave[start : start + 10]
        np.testing.assert_array_equal(row, np.pad(expected, (0, 10 - len(expected))))


@pytest.mark.parametrize(
    ("number", "length", "starts"), [(1, 30, [0]), (3, 30, [0, 10, 20]), (3, 20, [0, 5, 10]), (3, 9, [0])]
)
def test_a_number_of_segments_is_spaced_evenly_from_beginning_to_end(number, length, starts):
    pieces = cut(np.arange(1, length + 1, dtype=np.float32), 10, "segments", number)
    np.testing.assert_array_equal(pieces[:, 0], np.array(starts) + 1)


def test_the_middle_or_the_beginning_of_a_longer_file_is_kept_and_zeros_stand_accordingly():
    wave = np.arange(1, 8, dtype=np.float32)
    np.testing.assert_array_equal(cut(wave, 3, "pad"), [[1, 2, 3]])
    np.testing.assert_array_equal(cut(wave, 3, "center"), [[3, 4, 5]])
    np.testing.assert_array_equal(cut(wave[:2], 5, "pad"), [[1, 2, 0, 0, 0]])
    np.testing.assert_array_equal(cut(wave[:2], 5, "center"), [[0, 1, 2, 0, 0]])


def test_silence_and_clipping_are_noticed(tmp_path):
    def heard(wave):
        sf.write(tmp_path / "x.wav", wave, 16_000, subtype="FLOAT")
        found = decode(tmp_path / "x.wav", 16_000, 16_000, 0)
        return found.silent, found.clipped

    assert heard(tone(1, 440)) == (False, False)
    assert heard(1e-5 * tone(1, 440)) == (True, False)
    assert heard(np.clip(9 * tone(1, 440), -1, 1)) == (False, True)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
def test_mp3s_of_every_rate_and_bit_rate_mode_hold_the_tone_at_its_time(tmp_path, rate, mode):
    wave = np.concatenate([np.zeros(rate // 2, np.float32), tone(1.5, 440, rate)])
    stereo = np.stack([wave, 0.5 * wave], axis=1)
    sf.write(tmp_path / "x.mp3", stereo, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    found = decode(tmp_path / "x.mp3", 16_000, 32_000, 1).waves[0]
    assert abs(peak_hz(found[12_000:28_000], 16_000) - 440) < 1.5
    onset = np.flatnonzero(np.abs(found) > 0.02)[0]
    assert abs(onset - 8_000) < 2_400  # the encoder's delay: at most 2304 samples at its own rate


def test_a_tag_with_a_picture_before_the_music_changes_no_sample(tmp_path):
    plain = write_mp3(tmp_path / "plain.mp3", tone(2, 440)).read_bytes()
    picture = b"\x00image/png\x00\x03\x00" + bytes(range(256)) * 40
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    (tmp_path / "tagged.mp3").write_bytes(b"ID3\x03\0\0" + size + frame + plain)
    waves = [decode(tmp_path / f"{name}.mp3", 16_000, 32_000, 1).waves for name in ("plain", "tagged")]
    np.testing.assert_array_equal(*waves)


def test_the_delay_of_an_encoder_is_taken_off_where_the_file_declares_it_and_kept_where_not(tmp_path):
    """LAME writes its delay into the first frame; cut that frame off, and the silence stays."""
    click = np.zeros(32_000, np.float32)
    click[16_000:16_400] = tone(0.025, 1000, level=0.8)
    sf.write(tmp_path / "declared.mp3", click, 16_000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    data = (tmp_path / "declared.mp3").read_bytes()
    first, second = (m.start() for m in itertools.islice(re.finditer(re.escape(data[:2]), data), 2))
    assert b"LAME" in data[first:second]
    (tmp_path / "bare.mp3").write_bytes(data[second:])

    def onset(name):
        return int(np.argmax(np.abs(decode(tmp_path / name, 16_000, 32_000, 1).waves[0]) > 0.2))

    assert abs(onset("declared.mp3") - 16_000) <= 32
    assert 528 < onset("bare.mp3") - 16_000 < 2_500


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 96_000])
def test_blocks_are_bit_for_bit_what_resampling_all_at_once_makes(tmp_path, rate):
    wave = np.stack([music(5 * rate, rate), music(5 * rate, rate)[::-1]], axis=1)
    sf.write(tmp_path / "x.wav", wave, rate, subtype="FLOAT")
    with stream(tmp_path / "x.wav", 16_000) as blocks:
        found = list(blocks)
        assert (blocks.source_rate, blocks.channels, blocks.format) == (rate, 2, "WAV")
        assert (blocks.seconds, blocks.expected, blocks.incomplete) == (5, 5, "")
    assert max(map(len, found)) < 300_000
    whole = wave.mean(axis=1, dtype=np.float32)
    np.testing.assert_array_equal(
        np.concatenate(found), whole if rate == 16_000 else soxr.resample(whole, rate, 16_000)
    )


@pytest.mark.parametrize(("policy", "number"), [("pad", None), ("center", None), ("segments", None), ("segments", 3)])
@pytest.mark.parametrize("samples", [4_000, 100_001, 300_000])
def test_what_is_kept_by_blocks_is_what_is_cut_of_the_whole(tmp_path, policy, number, samples):
    path = write_mp3(tmp_path / "x.mp3", music(8 * 44_100, 44_100), 44_100)
    whole = decode_whole(path, 16_000, 1)
    for cut_off in (False, True):  # then the file is not as long as its bytes show: its last frames are no music
        if cut_off:
            path.write_bytes(path.read_bytes()[:-20_000] + b"\xff" * 10_000)
            whole = decode_whole(path, 16_000, 1)
        found = decode(path, 16_000, samples, 1, policy, number)
        np.testing.assert_array_equal(found.waves, cut(whole, samples, policy, number))
        assert found.padded == max(0, samples - len(whole))


def test_a_file_whose_length_nobody_knew_is_decoded_twice_for_its_middle(tmp_path, monkeypatch):
    path = write_mp3(tmp_path / "x.mp3", music(8 * 16_000, 16_000))
    monkeypatch.setattr(Stream, "expected", property(lambda _: 0.0))
    expected = cut(decode_whole(path, 16_000, 1), 16_000, "center")
    np.testing.assert_array_equal(decode(path, 16_000, 16_000, 1, "center").waves, expected)


def test_no_more_is_decoded_than_is_kept(tmp_path):
    path = write_mp3(tmp_path / "x.mp3", np.tile(music(44_100, 44_100), 20), 44_100)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])  # would be told if it were heard to its end
    assert decode(path, 16_000, 16_000, 1).incomplete == ""
    assert decode(path, 16_000, 20 * 16_000, 1).incomplete == "ends at 10.0 s of 20.0 s: the file is cut off"
    assert decode(path, 16_000, 16_000, 9).padded == 0
    with pytest.raises(RejectedError, match=r"too short: 9\.\d\d s, at least 15 s are needed \(ends at 10"):
        decode(path, 16_000, 16_000, 15)


@pytest.mark.parametrize("value", [3e38, -3e38, 1e30])
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_samples_that_would_not_stay_finite_are_rejected_before_they_are_resampled(tmp_path, value, rate):
    wave = np.zeros((rate * 2, 2), np.float32)
    wave[100:200] = value
    soundfile.write(tmp_path / "loud.wav", wave, rate, subtype="FLOAT")
    with pytest.raises(RejectedError, match=r"samples of .*, where full scale is 1 and 4\.3e\+09 the limit"):
        decode(tmp_path / "loud.wav", 16_000, 20_000, 1.0)


def test_the_loudest_samples_that_are_taken_stay_finite_to_the_last_feature(tmp_path):
    wave = LOUDEST * np.sign(np.random.default_rng(1).standard_normal(44_100)).astype(np.float32)
    soundfile.write(tmp_path / "loud.wav", wave, 22_050, subtype="FLOAT")
    (heard,) = decode(tmp_path / "loud.wav", 16_000, 16_384, 1.0).waves
    assert np.isfinite(heard).all()
    for kind in ("mel", "cqt", "scattering", "waveform"):
        features = representations.of(RepresentationConfig(kind=kind, rate=16_000, samples=16_384))
        assert bool(torch.isfinite(features(torch.from_numpy(heard)[None])).all()), kind


def test_a_wave_in_integers_of_32_bits_stays_music(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.full(32_000, 2.0**31, np.float32), 16_000, subtype="FLOAT")
    assert decode(tmp_path / "x.wav", 16_000, 20_000, 1.0).waves.max() == 2.0**31
