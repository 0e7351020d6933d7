"""Padding, bands, folding and averaging against their definitions by full-length FFTs."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from earmark.representations.buffers import BufferPool, Buffers, over_chunks
from earmark.representations.spectrum import (
    Band,
    Extension,
    LowPass,
    Mirror,
    fold,
    good_length,
    interleave,
    long_rfft,
    modulus,
    rfft,
    window,
)


def test_good_lengths_are_smooth_and_prefer_powers_of_two():
    assert good_length(464_000 + 39_732, 4096) == 2**19
    assert good_length(300_000, 250) == 300_000
    assert good_length(1, 4096) == 4096
    assert good_length(7 * 64 - 1, 64) == 8 * 64


@given(st.integers(1, 5000), st.sampled_from([1, 8, 64]))
def test_good_lengths_suffice(minimum, multiple):
    found = good_length(minimum, multiple)
    assert found >= minimum
    assert found % multiple == 0
    assert found <= max(2 * minimum, multiple)


@pytest.mark.parametrize(("whole", "mode"), [(False, "symmetric"), (True, "reflect")])
@pytest.mark.parametrize(("n", "total", "lead"), [(10, 27, 0), (10, 31, 4), (10, 64, 24), (3, 32, 12), (100, 128, 8)])
def test_extension_is_numpys(n, total, lead, whole, mode):
    right = (total - n) // 2
    x = np.arange(n) + 1.0
    left = total - n - right
    expected = np.roll(np.pad(x, (left, right), mode=mode), lead - left)
    extension = Extension(n, total, lead, right, whole)
    np.testing.assert_array_equal(x[extension.source()], expected)
    out = torch.full((2, total), torch.nan)
    Mirror(extension).extend(torch.tensor(np.stack([x, x]), dtype=torch.float32), out)
    np.testing.assert_array_equal(out[1].numpy(), expected)


@pytest.mark.parametrize("M", [16, 15])
def test_window_holds_the_spectrum_at_any_bins(M):
    x = torch.randn(3, M, dtype=torch.float64)
    full = torch.fft.fft(x)
    for low, high in [(0, 4), (-3, 5), (-M, M), (-2 * M - 3, 2 * M + 3), (M // 2, M + 2)]:
        out = torch.empty(3, high - low, dtype=torch.complex128)
        window(torch.fft.rfft(x), M, low, high, out)
        torch.testing.assert_close(out, full[:, torch.arange(low, high) % M])


@pytest.mark.parametrize("length", [3, 8, 13, 16, 29, 40])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_fold_sums_the_products_modulo_the_output_length(length, kind):
    L, at = 8, 2
    spectrum = torch.randn(2, 3, 64, dtype=torch.complex128)
    values = np.random.default_rng(0).standard_normal(length)
    weights = interleave(values, torch.float64) if kind == "real" else torch.tensor(values * 1j)
    expected = np.zeros((2, 3, L), dtype=complex)
    for i in range(length):
        expected[..., i % L] += spectrum[..., at + i].numpy() * values[i] * (1 if kind == "real" else 1j)
    out = torch.full((2, 3, L), torch.nan, dtype=torch.complex128)
    np.testing.assert_allclose(fold(spectrum, at, weights, out).numpy(), expected, atol=1e-12)


def test_a_folded_band_is_the_filtered_signal_subsampled():
    N, L = 240, 60
    x = torch.randn(1, N, dtype=torch.float64)
    band = Band(-7, np.hanning(50))
    full = np.zeros(N)
    full[np.arange(-7, 43) % N] = band.values
    expected = np.fft.ifft(np.fft.fft(x[0].numpy()) * full)[:: N // L]
    aligned = band.aligned(L)
    bins = window(torch.fft.rfft(x), N, aligned.start, aligned.stop, torch.empty(1, len(aligned.values)) + 0j)
    for chosen, moved in ((aligned, False), (band, True)):
        start = chosen.start - aligned.start
        out = fold(bins.to(torch.complex128), start, interleave(chosen.values, torch.float64), torch.empty(1, L) + 0j)
        z = torch.fft.ifft(out)[0].numpy() * L / N
        np.testing.assert_allclose(np.abs(z) if moved else z, np.abs(expected) if moved else expected, atol=1e-6)


def test_bands_too_long_for_a_spectrum_are_cut_or_wrapped():
    band = Band(-6, np.arange(1.0, 14.0))
    cut = band.on(8, wrap=False)
    assert (cut.start, list(cut.values)) == (-4, [1.5, 4, 5, 6, 7, 8, 9, 10, 5.5])
    wrapped = band.on(8, wrap=True)
    assert wrapped.start == -4
    assert wrapped.values.sum() == band.values.sum()
    assert band.on(16, wrap=False) is band


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("width", "in_time"), [(6.0, True), (200.0, False)])
def test_low_pass_in_time_and_on_the_spectrum_agree(width, in_time):
    M, step, first, frames = 512, 8, 6, 50
    bins = np.arange(-M // 2, M // 2)
    band = Band(-M // 2, np.exp(-0.5 * (bins * 2 * np.pi / M * width) ** 2)).trim(1e-12)
    phi = LowPass(band, M, step, first, frames, 2.0, 1e-12, torch.float64)
    assert (phi.kernel is not None) == in_time
    u = torch.randn(2, 3, M, dtype=torch.float64)
    full = np.zeros(M)
    full[np.arange(band.start, band.stop) % M] = band.values
    expected = 2.0 * step * np.fft.ifft(np.fft.fft(u.numpy()) * full).real[..., ::step][..., first : first + frames]
    np.testing.assert_allclose(phi.of_signal(u).numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(phi.of_spectrum(torch.fft.rfft(u)).numpy(), expected, atol=1e-9)


@pytest.mark.usefixtures("way")
def test_modulus_is_the_modulus():
    z = torch.tensor([[3 + 4j, 0j, -1e-3j]])
    assert modulus(z, torch.empty(1, 3)).tolist() == [[5.0, 0.0, pytest.approx(1e-3)]]


@pytest.mark.parametrize("transform", [rfft, long_rfft])
def test_a_signal_alone_transforms_as_one_of_many(transform):
    x = torch.randn(5, 2**16)
    assert torch.equal(transform(x)[:1], transform(x[:1]))
    torch.testing.assert_close(transform(x), torch.fft.rfft(x), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_chunks_cover_every_clip_once_and_threads_are_restored(threads):
    before = torch.get_num_threads()
    for n in (0, 1, 2, 7, 16):
        seen: list[int] = []
        over_chunks(lambda first, last: seen.extend(range(first, last)), n, 4, threads)  # noqa: B023
        assert sorted(seen) == list(range(n))
    assert torch.get_num_threads() == before
    torch.set_num_threads(before)


def test_an_error_in_a_chunk_reaches_the_caller():
    def fail(first: int, last: int) -> None:
        raise RuntimeError(f"{first} {last}")

    with pytest.raises(RuntimeError, match="0 1"):
        over_chunks(fail, 2, 1, 2)


def test_workspaces_keep_memory_but_not_in_copies():
    spaces, like = BufferPool(), torch.zeros(1)
    with spaces.lend(like) as first:
        held = first.real("u", 4, 5)
        assert held.shape == (4, 5)
        assert first.complex("u", 2).data_ptr() == held.data_ptr()
    with spaces.lend(like) as second, spaces.lend(like) as other:
        assert second is first
        assert other is not first
    with spaces.lend(like.double()) as wide:
        assert wide.real("u", 1).dtype == torch.float64
    assert not pickle.loads(pickle.dumps(spaces))._free
    assert not copy.deepcopy(spaces)._free
    assert isinstance(second, Buffers)
