"""The constant-Q transform against a direct correlation with librosa's own filters in float64."""

from __future__ import annotations

import itertools

import librosa
import numpy as np
import pytest
import torch
from helpers.music import music

from earmark.representations import build
from earmark.representations.cqt import CQT, atom, response, span

CASES = [  # rate, samples, options
    (16_000, 120_000, {}),
    (16_000, 60_000, {"hop": 512}),
    (12_000, 50_001, {"hop": 200, "filter_scale": 0.5}),
    (22_050, 30_000, {"hop": 64}),
    (16_000, 40_000, {"bins": 30, "bins_per_octave": 24, "fmin": 110.0, "hop": 100}),
    (16_000, 20_000, {"bins": 12, "fmin": 2000.0}),
    (16_000, 20_000, {"bins": 24, "fmin": 1000.0, "hop": 1000}),  # gaps between all filters
    (16_000, 20_000, {"bins": 60, "fmin": 200.0, "hop": 1000}),  # gaps between the short ones
]


def direct(wave, rate, hz, hop, filter_scale):
    """sqrt(length) |sum_n x[t hop + n] conj(h[n])| with `librosa.filters.wavelet`."""
    filters, lengths = librosa.filters.wavelet(freqs=hz, sr=rate, filter_scale=filter_scale, dtype=np.complex128)
    n = filters.shape[1]
    padded = np.pad(wave.astype(np.float64), n // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n)[::hop][: 1 + len(wave) // hop]
    return np.abs(frames @ filters.conj().T) * np.sqrt(lengths)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("rate", "n", "options"), CASES)
def test_equal_to_the_definition(rate, n, options):
    wave = music(n, rate)
    cqt = build("cqt", rate=rate, n_samples=n, log_amplitude=False, **options)
    ours = cqt(torch.tensor(wave)[None])[0].numpy()
    expected = direct(wave, rate, cqt.axes["hz"], cqt.hop, options.get("filter_scale", 1.0))
    assert ours.shape == expected.shape == (cqt.n_frames, cqt.n_dims)
    norm = np.linalg.norm(expected, axis=0)
    carries = norm > 1e-3 * norm.max()
    errors = np.linalg.norm(ours - expected, axis=0) / norm
    assert errors[carries].max() < 1e-3
    assert np.linalg.norm(ours - expected) / np.linalg.norm(expected) < 1e-4


def test_librosas_fast_approximation_is_near():
    wave = music(120_000, 16_000)
    cqt = build("cqt", rate=16_000, n_samples=len(wave), log_amplitude=False)
    ours = cqt(torch.tensor(wave)[None])[0].numpy()
    theirs = np.abs(librosa.cqt(wave, sr=16_000, hop_length=256, n_bins=84, tuning=0.0)).T
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(ours) < 0.05


def test_what_lies_between_the_longest_filters_is_named_as_not_heard():
    cqt = build("cqt", rate=16_000, n_samples=20_000, bins=24, fmin=1000.0, hop=1000)
    first, longest = span(16_000 / 1000 * 17.332)
    inside = np.zeros(20_000, bool)
    for centre in range(0, 20_001, 1000):
        inside[max(0, centre + first) : centre + first + longest] = True
    wave = torch.randn(1, 20_000)
    assert torch.equal(cqt(wave), cqt(torch.where(torch.tensor(inside), wave, 7.0)))
    assert cqt.unseen == pytest.approx(1 - inside.mean(), abs=1e-3)
    assert cqt.warning("high").startswith("warning: representations.high: hop leaves gaps between frames; 72.")
    for hop in (64, 256, 277):
        assert build("cqt", rate=16_000, n_samples=20_000, bins=24, fmin=1000.0, hop=hop).warning("x") == ""


@pytest.mark.parametrize("length", [68.3, 68.0, 69.0, 1211.7])
def test_the_response_is_the_atoms_spectrum(length):
    omega, n = 1.3, 4096
    first, size = span(length)
    values = np.zeros(n, dtype=complex)
    values[(first + np.arange(size)) % n] = atom(omega, length)
    w = 2 * np.pi * np.arange(n) / n
    np.testing.assert_allclose(response(omega, length, w), np.conj(np.fft.fft(np.conj(values))), atol=1e-9)


def test_a_tone_at_a_bins_centre_peaks_there():
    cqt = build("cqt", rate=16_000, n_samples=64_000)
    t = torch.arange(64_000) / 16_000
    for k in range(12, 84, 9):
        frames = cqt(torch.sin(2 * torch.pi * float(cqt.axes["hz"][k]) * t)[None])[0, 60:-60]
        assert (frames.argmax(dim=1) == k).all()


def test_decibels_floor_and_batches():
    wave = torch.tensor(np.stack([music(30_000, 16_000 + i) for i in range(5)]))
    cqt = build("cqt", rate=16_000, n_samples=30_000)
    linear = build("cqt", rate=16_000, n_samples=30_000, log_amplitude=False)
    batch = cqt(wave)
    assert batch.is_contiguous()
    assert torch.equal(batch[2:3], cqt(wave[2:3]))
    torch.testing.assert_close(batch, 20 * linear(wave).clamp(min=1e-5).log10())
    assert (cqt(torch.zeros(1, 30_000)) == -100).all()
    wave[4, 0] = torch.nan
    with pytest.raises(ValueError, match="clip 4 of the batch"):
        cqt(wave)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": 96}, "cqt.bins must keep the top filter below rate / 2 = 8000 Hz, got 96"),
        ({"hop": 0}, "cqt.hop must be at least 1, got 0"),
        ({"fmin": 0.0}, "cqt.fmin must be above 0 Hz"),
        ({"filter_scale": -1.0}, "cqt.filter_scale must be positive"),
    ],
)
def test_options_out_of_their_limits(options, message):
    with pytest.raises(ValueError, match=message):
        build("cqt", rate=16_000, n_samples=10_000, **options)


def test_a_clip_gives_the_same_bytes_in_any_batch_on_any_threads():
    cqt = CQT(rate=16_000, n_samples=100_000)
    wave = torch.randn(11, 100_000, generator=torch.Generator().manual_seed(3))
    together = cqt(wave)
    before = torch.get_num_threads()
    try:
        for threads, batch in itertools.product((1, 2, 3), (1, 2, 3, 11)):
            torch.set_num_threads(threads)
            assert torch.equal(torch.cat([cqt(part) for part in wave.split(batch)]), together), (threads, batch)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("options", [{"fmin": 5e-324}, {"filter_scale": 1e308}])
def test_filters_that_no_memory_holds_are_refused_by_their_option(options):
    with pytest.raises(ValueError, match=r"fmin .*GB"):
        build("cqt", rate=16_000, n_samples=65_536, **options)
