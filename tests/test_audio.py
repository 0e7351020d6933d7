from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
from conftest import tone, write_mp3

from earmark.audio import RejectedError, decode, describe


def peak_hz(wave: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))).argmax() * rate / len(wave))


def test_a_clip_is_cut_to_the_exact_length(tmp_path):
    decoded = decode(write_mp3(tmp_path / "x.mp3", tone(3, 440)), 16_000, 32_000, 1)
    assert decoded.wave.shape == (32_000,)
    assert decoded.wave.dtype == np.float32
    assert decoded.padded == 0
    assert abs(peak_hz(decoded.wave, 16_000) - 440) < 1


def test_a_short_clip_is_padded_with_zeros_at_its_end(tmp_path):
    decoded = decode(write_mp3(tmp_path / "x.mp3", tone(8, 440)), 16_000, 465_984, 1)
    assert decoded.wave.shape == (465_984,)
    assert 465_984 - 8 * 16_000 - 4000 < decoded.padded <= 465_984 - 8 * 16_000
    assert not decoded.wave[-decoded.padded :].any()


def test_stereo_at_another_rate_is_averaged_and_resampled(tmp_path):
    left, right = tone(4, 440, 44_100), tone(4, 1000, 44_100)
    decoded = decode(write_mp3(tmp_path / "x.mp3", np.stack([left, right], 1), 44_100), 16_000, 48_000, 1)
    spectrum = np.abs(np.fft.rfft(decoded.wave * np.hanning(48_000)))
    hz = np.arange(len(spectrum)) / 3
    assert abs(hz[np.where(hz < 700, spectrum, 0).argmax()] - 440) < 1
    assert abs(hz[np.where(hz > 700, spectrum, 0).argmax()] - 1000) < 1


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_other_formats_are_known_by_content_not_by_name(tmp_path, kind):
    sf.write(tmp_path / "x.mp3", tone(2, 440), 16_000, format=kind)
    assert abs(peak_hz(decode(tmp_path / "x.mp3", 16_000, 32_000, 1).wave, 16_000) - 440) < 1


def test_wav_samples_come_back_exactly(tmp_path):
    wave = tone(1, 440)
    sf.write(tmp_path / "x.wav", wave, 16_000, subtype="FLOAT")
    np.testing.assert_array_equal(decode(tmp_path / "x.wav", 16_000, 16_000, 0).wave, wave)


def test_unusable_files_are_rejected_with_a_reason(tmp_path):
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("this is no music\n" * 500)
    write_mp3(tmp_path / "short.mp3", tone(0.5, 440))
    sf.write(tmp_path / "nan.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    for name, reason in {
        "gone.mp3": "no such file",
        "empty.mp3": r"empty file \(0 bytes\)",
        "text.mp3": "not decodable|no audio frames",
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
    assert abs(peak_hz(decoded.wave[:64_000], 16_000) - 440) < 1


def test_describe_states_length_rate_channels_and_level(tmp_path):
    sf.write(tmp_path / "x.wav", np.full((16_000, 2), 0.5), 16_000)
    assert describe(tmp_path / "x.wav") == "1.00 s, 16000 Hz, 2 channels, WAV, peak -6.0 dBFS, RMS -6.0 dBFS"
    with pytest.raises(RejectedError, match="no such file"):
        describe(tmp_path / "y.wav")
