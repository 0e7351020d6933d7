"""Padding, folded bands and averages against their definitions by full-length FFTs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark.representations.scattering.filters import Band
from earmark.representations.scattering.layers import LowPass, Mirror
from earmark.representations.scattering.plan import Extension
from earmark.representations.spectrum import fold, interleave, window


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
