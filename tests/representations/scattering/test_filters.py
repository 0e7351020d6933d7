"""The filters against what defines them, and against kymatio's own."""

from __future__ import annotations

import importlib
import math
import warnings

import numpy as np
import pytest

from earmark.representations.scattering.filters import Band, kymatio_filter, morlet, scatnet_filters, scatnet_support
from earmark.representations.scattering.plan import kymatio_bank, scatnet_bank


def on_grid(band, n):
    full = np.zeros(n)
    np.add.at(full, np.arange(band.start, band.stop) % n, band.values)
    return full


def test_morlet_vanishes_at_zero_and_peaks_at_its_centre():
    n = 2**14
    for shape in scatnet_bank(8, 1024).psi:
        f = on_grid(morlet(shape, n), n)
        assert abs(f[0]) < 1e-12
        peak = 2 * math.pi * np.argmax(f) / n
        assert abs(peak - shape.xi) < 0.2 / shape.s


def test_scatnets_frame_is_normalised_on_its_logarithmic_part():
    n, Q, T = 2**15, 8, 2048
    bank = scatnet_bank(Q, T)
    J = 1 + round(math.log2(T / (4 * Q)) * Q)
    filters = [on_grid(band, n) for band in scatnet_filters(bank, n)]
    assert np.sum(np.square(filters[:J]), axis=0).max() == pytest.approx(2, rel=1e-5)


def test_scatnets_support_is_a_power_of_two_of_the_grid():
    n = 2**16
    for shape in scatnet_bank(8, 4096).psi[::5]:
        band = morlet(shape, n)
        cut = scatnet_support(band, n)
        assert math.log2(n / len(cut.values)).is_integer()
        kept = band.trim(1e-3)
        assert cut.start <= kept.start
        assert kept.stop <= cut.stop
        assert np.abs(on_grid(cut, n) - on_grid(band, n)).max() <= 1e-3 * np.abs(band.values).max()


@pytest.mark.parametrize(("J", "Q", "T"), [(7, (8, 1), 256), (5, (1, 1), 32), (8, (12, 2), 100), (6, (3, 1), 500)])
def test_kymatios_bank_is_kymatios(J, Q, T):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        factory = importlib.import_module("kymatio.scattering1d.filter_bank").scattering_filter_factory
    n = 2**13
    phi, *psis = factory(n, J, Q, T)
    for q, theirs in zip(Q, psis, strict=True):
        bank = kymatio_bank(q, J, T)
        assert [shape.j for shape in bank.psi] == [f["j"] for f in theirs]
        np.testing.assert_allclose([s.xi / (2 * np.pi) for s in bank.psi], [f["xi"] for f in theirs], rtol=1e-12)
        for band, f in zip([kymatio_filter(shape, n) for shape in bank.psi], theirs, strict=True):
            np.testing.assert_allclose(on_grid(band, n), f["levels"][0], atol=1e-9)
        np.testing.assert_allclose(on_grid(kymatio_filter(bank.phi, n), n), phi["levels"][0], atol=1e-9)
        assert bank.phi.j == phi["j"]


def test_bands_too_long_for_a_spectrum_are_cut_or_wrapped():
    band = Band(-6, np.arange(1.0, 14.0))
    cut = band.on(8, wrap=False)
    assert (cut.start, list(cut.values)) == (-4, [1.5, 4, 5, 6, 7, 8, 9, 10, 5.5])
    wrapped = band.on(8, wrap=True)
    assert wrapped.start == -4
    assert wrapped.values.sum() == band.values.sum()
    assert band.on(16, wrap=False) is band
