"""The banks against the numbers that ScatNet and kymatio are known to give, and against kymatio's own filters."""

from __future__ import annotations

import importlib
import math
import warnings

import numpy as np
import pytest

from earmark.representations.scattering.cascade import Kymatio, ScatNet
from earmark.representations.scattering.wavelets import (
    kymatio_bank,
    kymatio_filters,
    morlet,
    scatnet_bank,
    scatnet_filters,
    scatnet_support,
)


def on_grid(band, n):
    full = np.zeros(n)
    np.add.at(full, np.arange(band.start, band.stop) % n, band.values)
    return full


def test_scatnets_audio_bank():
    first, second = scatnet_bank(8, 8192), scatnet_bank(1, 8192)
    assert (len(first.psi), len(second.psi)) == (76, 13)
    assert first.psi[0].xi == pytest.approx((2 ** (-1 / 8) + 1) * math.pi / 2)
    ratios = [a.xi / b.xi for a, b in zip(first.psi[:64], first.psi[1:65], strict=True)]
    np.testing.assert_allclose(ratios, 2 ** (1 / 8))
    steps = np.diff([shape.xi for shape in first.psi[64:]])
    np.testing.assert_allclose(steps, steps[0])
    assert len({shape.s for shape in first.psi[64:]}) == 1
    assert first.phi.j == 13
    assert second.phi.j == 13


def test_scatnets_pairs_and_resolutions():
    plan = ScatNet(464_000, (8, 1), 8192, 1, exact=False)
    counts = [len(plan.pairs(k)) for k in range(76)]
    assert counts == [9] * 7 + [8] * 8 + [7] * 8 + [6] * 8 + [5] * 8 + [4] * 8 + [3] * 8 + [2] * 8 + [1] * 13
    assert (plan.hop, plan.n_frames) == (4096, 114)
    assert plan.resolution(plan.first_bank.psi[0]) == 3
    assert plan.resolution(plan.first_bank.psi[75]) == 11


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
    filters = [on_grid(band, n) for band in scatnet_filters(bank, Q, T, n)]
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
        for band, f in zip(kymatio_filters(bank.psi, n), theirs, strict=True):
            np.testing.assert_allclose(on_grid(band, n), f["levels"][0], atol=1e-9)
        np.testing.assert_allclose(on_grid(kymatio_filters([bank.phi], n)[0], n), phi["levels"][0], atol=1e-9)
        assert bank.phi.j == phi["j"]


def test_paths_come_with_hertz_and_nothing_where_there_is_no_order():
    paths, keys = Kymatio(20_000, (8, 1), 8, 256, 0, exact=False).paths(rate=8000.0)
    assert len(paths) == len(keys)
    assert [len(key) for key in keys] == list(paths.order)
    assert np.isnan(paths.xi1[0])
    assert np.isnan(paths.xi2[paths.order == 1]).all()
    second = paths[paths.order == 2]
    assert (second.xi2 < second.xi1).all()
    assert paths.xi1[1] == pytest.approx(0.43 * 8000, rel=0.02)
