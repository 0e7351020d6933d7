"""The windows of a whole file: the frames that the file has if it is transformed at once, however long it is."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers.features import representation
from helpers.music import music

from earmark import representations
from earmark.config import WaveformConfig
from earmark.features import listener
from earmark.features.listener import Listener
from earmark.features.standardize import Standardizer

WINDOW, HOP = 20, 256
SPAN = WINDOW * HOP
SETTINGS = {
    "mel": {"kind": "mel", "rate": 16_000, "n_fft": 512, "hop": HOP, "n_mels": 24},
    "cqt": {"kind": "cqt", "rate": 16_000, "hop": HOP, "bins": 12, "fmin": 1000.0},
}


def hearer(kind="mel", dtype="float32"):
    config = representation(SETTINGS[kind] | {"samples": SPAN - 1})
    dims = representations.of(config).n_dims
    plain = Standardizer(np.full(dims, 2, np.float32), np.full(dims, 0.5, np.float32), 0)
    return Listener(config, WaveformConfig(samples=SPAN - 1, dtype=dtype, min_seconds=0), plain, WINDOW)


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize(
    ("samples", "windows"),
    [
        (SPAN - HOP, 1),  # its last frame is centred on its end
        (SPAN + 17, 1),
        (2 * SPAN - HOP - 1, 1),
        (8 * SPAN, 8),
        (9 * SPAN + 3 * HOP, 9),  # more than a batch, and a remainder
        (17 * SPAN, 17),
    ],
)
def test_windows_are_cut_from_the_frames_of_the_whole_file(tmp_path, kind, samples, windows):
    wave = music(samples, 16_000)
    sf.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    found = hearer(kind).hear(tmp_path / "a.wav")
    whole = representations.of(representation(SETTINGS[kind] | {"samples": samples}))(torch.from_numpy(wave)[None])
    expected = (whole[0, : windows * WINDOW] - 2) / 2
    assert found.features.shape == (windows, WINDOW, expected.shape[1])
    assert found.seconds == samples / 16_000
    np.testing.assert_allclose(found.features.reshape(expected.shape), expected, atol=2e-4)


def test_a_file_shorter_than_a_window_is_padded_to_one(tmp_path):
    wave = music(1000, 16_000)
    sf.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    found = hearer().hear(tmp_path / "a.wav").features
    assert found.shape == (1, WINDOW, 24)
    assert (found[0, 6:] == (-100 - 2) / 2).all()  # silence in decibels
    assert (found[0, :3] > found[0, 6:].max()).any(dim=1).all()


def test_samples_are_rounded_as_a_shard_stores_them(tmp_path):
    sf.write(tmp_path / "a.wav", 1e-5 * music(SPAN, 16_000), 16_000, subtype="FLOAT")
    exact, rounded = (hearer(dtype=dtype).hear(tmp_path / "a.wav").features for dtype in ("float32", "int16"))
    assert (rounded == (-100 - 2) / 2).all()
    assert (exact > rounded).any()


def test_memory_is_bounded_by_batches_of_windows(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.wav", music(40 * SPAN, 16_000), 16_000)
    sizes = []
    seen = listener.Listener._transformed
    monkeypatch.setattr(
        listener.Listener, "_transformed", lambda self, t, waves: (sizes.append(waves.size), seen(self, t, waves))[1]
    )
    assert len(hearer().hear(tmp_path / "a.wav").features) == 40
    assert sizes == [10 * SPAN] * 5
