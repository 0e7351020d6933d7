"""Batches of segments, or of windows of a whole file: the bits that they have if all are heard at once."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers.features import representation
from helpers.music import music

from earmark import representations
from earmark.config import WaveformConfig
from earmark.decode.audio import cut
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


@pytest.mark.parametrize("window", [None, WINDOW])
def test_a_file_is_heard_in_batches_with_the_seconds_at_which_their_segments_begin(tmp_path, window):
    hears = hearer()
    hears.window = window
    samples = 70 * SPAN + SPAN // 2
    sf.write(tmp_path / "a.wav", music(samples, 16_000), 16_000, subtype="FLOAT")
    hearing = hears.hearing(tmp_path / "a.wav")
    assert hearing.seconds == 0
    batches = list(hearing)
    assert hearing.seconds == samples / 16_000
    assert [len(batch.features) for batch in batches] == [32, 32, 6 if window else 7]
    size = SPAN if window else SPAN - 1
    starts = size * np.arange(len(batches[0].starts) * 2 + len(batches[2].starts)) / 16_000
    if not window:
        starts[-1] = (samples - size) / 16_000  # the last segment ends where the file ends
    np.testing.assert_allclose(np.concatenate([batch.starts for batch in batches]), starts)
    whole = hears.hear(tmp_path / "a.wav").features
    np.testing.assert_array_equal(torch.cat([batch.features for batch in batches]), whole)
    if not window:
        wave = sf.read(tmp_path / "a.wav", dtype="float32")[0]
        cuts = torch.from_numpy(cut(wave, size, "segments"))
        expected = torch.cat([hears.transform(cuts[start : start + 8]) for start in range(0, len(cuts), 8)])
        np.testing.assert_array_equal(whole, (expected - 2) / 2)


@pytest.mark.parametrize("window", [None, WINDOW])
def test_of_a_long_file_no_more_than_some_segments_are_held(window):
    hears = hearer()
    hears.window = window
    alive, most, block = [0], [0], np.zeros(SPAN * 4, np.float32)

    def blocks():
        for _ in range(100):
            made = block.copy()
            alive[0] += made.nbytes
            most[0] = max(most[0], alive[0])
            weakref.finalize(made, lambda size=made.nbytes: alive.__setitem__(0, alive[0] - size))
            yield made
            del made

    count = sum(len(batch.features) for batch in hears.hearing(None, blocks))
    assert count == 400
    assert most[0] < 16 * block.nbytes
