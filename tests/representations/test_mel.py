"""Mel spectrograms against librosa's, in every framing of the published systems."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from helpers.music import music

from earmark.config import RepresentationConfig
from earmark.representations import build, resolve
from earmark.representations.mel import column_blocks, hz_to_mel, mel_edges, mel_filters, mel_to_hz

FRAMINGS = [  # rate, samples, options, shape
    (16_000, 464_000, {}, (1813, 96)),
    (12_000, 349_440, {}, (1366, 96)),
    (16_000, 465_984, {"n_fft": 2048, "hop": 1792, "n_mels": 128}, (261, 128)),
    (16_000, 464_000, {"n_fft": 2048, "hop": 2048, "n_mels": 128}, (227, 128)),
    (16_000, 50_001, {"n_fft": 1024, "hop": 300, "n_mels": 64, "htk": True}, (167, 64)),
    (22_050, 40_000, {"n_fft": 1024, "n_mels": 60, "fmin": 50.0, "fmax": 8000.0}, (157, 60)),
    (16_000, 464_000, {"n_fft": 2048, "hop": 2560, "n_mels": 128}, (182, 128)),  # of Dalla Longa et al.: gaps
    (16_000, 50_000, {"n_fft": 512, "hop": 5000, "n_mels": 40}, (11, 40)),  # the last frame begins where the clip ends
    (16_000, 3_000, {"n_fft": 512, "hop": 5000, "n_mels": 40}, (1, 40)),
    (16_000, 51_200, {"n_fft": 513, "n_mels": 40}, (200, 40)),  # an odd window, as many samples as whole hops
    (16_000, 51_201, {"n_fft": 513, "n_mels": 40}, (201, 40)),
]


@pytest.mark.parametrize("htk", [True, False])
def test_scales_are_librosas(htk):
    hz = np.linspace(0, 11_000, 200)
    np.testing.assert_allclose(hz_to_mel(hz, htk=htk), librosa.hz_to_mel(hz, htk=htk), rtol=1e-10)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, htk=htk), htk=htk), hz, atol=1e-8)


@pytest.mark.parametrize("htk", [True, False])
def test_filters_are_librosas(htk):
    ours = mel_filters(16_000, 1024, mel_edges(64, 30.0, 7000.0, htk=htk))
    theirs = librosa.filters.mel(sr=16_000, n_fft=1024, n_mels=64, fmin=30.0, fmax=7000.0, htk=htk, dtype=np.float64)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("rate", "n", "options", "shape"), FRAMINGS)
def test_equal_to_librosa(rate, n, options, shape):
    wave = music(n, rate)
    power = build("mel", rate=rate, n_samples=n, log_amplitude=False, **options)
    decibels = build("mel", rate=rate, n_samples=n, **options)
    settings = {"n_fft": 512, "hop_length": options.get("hop", 256), "n_mels": 96}
    settings |= {key: value for key, value in options.items() if key != "hop"}
    theirs = librosa.feature.melspectrogram(y=wave.astype(np.float64), sr=rate, dtype=np.float64, **settings).T
    x = torch.tensor(wave)[None]
    ours, logs = power(x)[0].numpy(), decibels(x)[0].numpy()
    assert ours.shape == theirs.shape == shape == (power.n_frames, power.n_dims)
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 1e-5
    expected = librosa.power_to_db(theirs, ref=1.0, amin=1e-10, top_db=None)
    assert np.linalg.norm(logs - expected) / np.linalg.norm(expected) < 1e-5
    assert power.axes["hz"].shape == (shape[1],)


@pytest.mark.parametrize(("n", "n_fft", "hop", "told"), [(5000, 128, 500, "74.4 %"), (3000, 512, 5000, "91.5 %")])
def test_what_lies_between_two_frames_is_not_heard_and_a_warning_names_its_share(n, n_fft, hop, told):
    """Counted sample by sample: changing one that is not heard changes nothing."""
    mel = build("mel", rate=16_000, n_samples=n, n_fft=n_fft, hop=hop, n_mels=20, log_amplitude=False)
    inside = np.zeros(n, bool)
    for centre in range(0, n + 1, hop):
        inside[max(0, centre - n_fft // 2) : centre + n_fft // 2] = True
    wave = torch.randn(1, n)
    changed = torch.where(torch.tensor(inside), wave, 7.0)
    assert torch.equal(mel(wave), mel(changed))
    assert not torch.equal(mel(wave), mel(7 - changed))
    assert mel.unseen == pytest.approx(1 - inside.mean())
    gaps = "hop leaves gaps between frames"
    assert mel.warning("of-mine") == f"warning: representations.of-mine: {gaps}; {told} of the samples lie in none"


@pytest.mark.parametrize("options", [{}, {"hop": 512}, {"hop": 511}, {"n_fft": 513, "hop": 513}])
def test_frames_without_gaps_between_them_warn_of_nothing(options):
    mel = build("mel", rate=16_000, n_samples=10_000, n_mels=40, **options)
    assert mel.unseen == 0
    assert mel.warning("x") == ""


def test_blocks_of_bands_cover_every_weight():
    filters = mel_filters(16_000, 512, mel_edges(50, 0.0, 8000.0, htk=False))
    covered = np.zeros_like(filters, dtype=bool)
    for first, last, low, high in column_blocks(filters, 16):
        covered[first:last, low:high] = True
    assert not filters[~covered].any()


def test_a_clip_gives_the_same_bytes_alone_and_in_a_batch():
    wave = torch.tensor(np.stack([music(30_000, 16_000 + i) for i in range(5)]))
    mel = build("mel", rate=16_000, n_samples=30_000)
    batch = mel(wave)
    assert batch.is_contiguous()
    assert torch.equal(batch[3:4], mel(wave[3:4]))


def test_silence_is_the_floor_and_broken_clips_are_named():
    mel = build("mel", rate=16_000, n_samples=10_000)
    assert (mel(torch.zeros(1, 10_000)) == -100).all()
    wave = torch.zeros(2, 10_000)
    wave[1, 3] = torch.inf
    with pytest.raises(ValueError, match="clip 1 of the batch"):
        mel(wave)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hop": 0}, r"representations.mel.hop must be at least 1, got 0"),
        ({"hop": -256}, r"mel.hop must be at least 1, got -256"),
        ({"fmax": 9000.0}, "mel.fmax must be at most rate / 2 = 8000 Hz, got 9000"),
        ({"fmin": 8000.0}, r"mel.fmin must be in \[0, fmax=8000\), got 8000"),
        ({"n_mels": 300}, r"mel.n_mels must leave no band without an FFT bin.*empty bands"),
        ({"n_fft": 1}, "mel.n_fft must be at least 2"),
        ({"compression": "log"}, "mel.compression must be db or log10p, got 'log'"),
        (
            {"compression": "log10p", "log_amplitude": False},
            r"mel.compression must be left out if log_amplitude is off, got 'log10p' \(power is not compressed then\)",
        ),
    ],
)
def test_options_out_of_their_limits(options, message):
    with pytest.raises(ValueError, match=message):
        build("mel", rate=16_000, n_samples=10_000, **options)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("options", [{}, {"n_fft": 1024, "hop": 300, "n_mels": 64, "htk": True}])
def test_log10p_is_musicnns_compression_of_librosas_power(options):
    """Both ways, against float64, on music that fades out: small power is not lost beside the 1."""
    wave = music(50_000, 16_000) * np.geomspace(20, 1e-5, 50_000, dtype=np.float32)
    settings = {"n_fft": 512, "hop_length": options.get("hop", 256), "n_mels": 96}
    settings |= {key: value for key, value in options.items() if key != "hop"}
    theirs = librosa.feature.melspectrogram(y=wave.astype(np.float64), sr=16_000, dtype=np.float64, **settings).T
    mel = build("mel", rate=16_000, n_samples=50_000, compression="log10p", **options)
    expected = np.log10(1 + 10_000 * theirs)
    assert expected.max() > 5
    assert expected.min() < 1e-5
    np.testing.assert_allclose(mel(torch.tensor(wave)[None])[0].numpy(), expected, rtol=1e-3, atol=1e-9)
    assert (mel(torch.zeros(1, 50_000)) == 0).all()


def test_decibels_by_name_are_the_default_to_the_last_bit_and_are_left_out_of_what_is_stored():
    wave, settings = torch.tensor(music(30_000, 16_000))[None], {"kind": "mel", "rate": 16_000, "samples": 30_000}
    named = build("mel", rate=16_000, n_samples=30_000, compression="db")
    assert torch.equal(named(wave), build("mel", rate=16_000, n_samples=30_000)(wave))
    stored = {
        name: resolve(RepresentationConfig.model_validate(settings | options)).options()
        for name, options in (("default", {}), ("db", {"compression": "db"}), ("log10p", {"compression": "log10p"}))
    }
    assert stored["db"] == stored["default"] == {"n_fft": 512, "hop": 256, "n_mels": 96}
    assert stored["log10p"] == stored["default"] | {"compression": "log10p"}


@pytest.mark.parametrize(
    "options", [{"n_mels": 96, "fmin": 7999.999999999999}, {"n_mels": 1, "htk": True, "fmax": 1e-300}]
)
@pytest.mark.filterwarnings("error")
def test_bands_whose_edges_are_one_number_are_refused(options):
    with pytest.raises(ValueError, match=r"n_mels must leave no band without an FFT bin"):
        build("mel", rate=16_000, n_samples=65_536, **options)
