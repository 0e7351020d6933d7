"""A fingerprint: its sizes, what it does not depend on, and how much of a file is heard."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
from helpers.melodies import RATE, melody

from earmark.decode.audio import RejectedError
from earmark.duplicates import fingerprint as prints
from earmark.duplicates.fingerprint import fingerprint, of_wave


def test_a_fingerprint_has_32_bits_a_frame_and_a_window_every_two_seconds(tmp_path):
    sf.write(tmp_path / "a.wav", melody(1), RATE)
    found = fingerprint(tmp_path / "a.wav")
    frames = 1 + 12 * prints.RATE // prints.HOP
    assert found.grown.shape == found.heard.shape == (frames - prints.LAG, 4)
    assert found.windows.shape == (1 + -(-(frames - prints.WINDOW) // prints.WINDOW_HOP), prints.WIDTH)
    assert found.windows.dtype == np.float32
    signs = found.signs()
    assert set(np.unique(signs)) <= {-1, 0, 1}
    assert signs.shape == (frames - prints.LAG, 32)
    assert np.abs(signs).mean() > 0.2


def test_loudness_changes_no_bit_and_no_window():
    wave = np.random.default_rng(1).normal(0, 0.1, 8 * prints.RATE).astype(np.float32)
    wave *= np.linspace(0.2, 1, len(wave), dtype=np.float32)
    loud, soft = of_wave(wave), of_wave(wave / 64)  # a power of two: no rounding
    assert (loud.signs() == soft.signs()).mean() > 0.999
    np.testing.assert_allclose(loud.windows, soft.windows, atol=0.01)


def test_what_is_far_below_the_loudest_changes_little():
    """Codecs leave holes there, and noise fills them."""
    t = np.arange(8 * prints.RATE) / prints.RATE
    wave = (0.3 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * 1.5 * t) > 0)).astype(np.float32)
    noise = np.random.default_rng(4).normal(0, 1e-4, len(wave)).astype(np.float32)
    np.testing.assert_allclose(of_wave(wave).windows, of_wave(wave + noise).windows, atol=0.5)


def test_a_minute_of_a_longer_file_is_heard_and_no_more_of_it_is_kept(tmp_path):
    wave = np.random.default_rng(2).normal(0, 0.1, 70 * prints.RATE).astype(np.float32)
    for name, part in (("long", wave), ("minute", wave[: 60 * prints.RATE])):
        sf.write(tmp_path / f"{name}.wav", part, prints.RATE, subtype="FLOAT")
    both = [fingerprint(tmp_path / f"{name}.wav") for name in ("long", "minute")]
    np.testing.assert_array_equal(both[0].grown, both[1].grown)
    np.testing.assert_array_equal(both[0].windows, both[1].windows)


@pytest.mark.parametrize("samples", [10 * prints.RATE, 0])
def test_silence_and_nothing_have_no_windows(samples):
    assert len(of_wave(np.zeros(samples, np.float32)).windows) == 0


def test_the_shortest_file_that_is_compared_has_one_window():
    wave = np.random.default_rng(3).normal(0, 0.1, round(prints.SHORTEST * prints.RATE)).astype(np.float32)
    assert len(of_wave(wave).windows) == 1
    assert len(of_wave(wave[:-1]).windows) == 0


def test_what_cannot_be_decoded_is_refused(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"")
    with pytest.raises(RejectedError):
        fingerprint(tmp_path / "a.mp3")
