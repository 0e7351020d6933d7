"""What is computed, against the numbers that ScatNet and kymatio are known to give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from earmark.representations.scattering.plan import KymatioPlan, ScatNetPlan, scatnet_bank


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
    plan = ScatNetPlan(464_000, (8, 1), 8192, 1, exact=False)
    counts = [len(plan.pairs(k)) for k in range(76)]
    assert counts == [9] * 7 + [8] * 8 + [7] * 8 + [6] * 8 + [5] * 8 + [4] * 8 + [3] * 8 + [2] * 8 + [1] * 13
    assert (plan.hop, plan.n_frames) == (4096, 114)
    assert plan.resolution(plan.first_bank.psi[0]) == 3
    assert plan.resolution(plan.first_bank.psi[75]) == 11


def test_paths_come_with_hertz_and_nothing_where_there_is_no_order():
    paths, keys = KymatioPlan(20_000, (8, 1), 8, 256, 0, exact=False).paths(rate=8000.0)
    assert len(paths) == len(keys)
    assert [len(key) for key in keys] == list(paths.order)
    assert np.isnan(paths.xi1[0])
    assert np.isnan(paths.xi2[paths.order == 1]).all()
    second = paths[paths.order == 2]
    assert (second.xi2 < second.xi1).all()
    assert paths.xi1[1] == pytest.approx(0.43 * 8000, rel=0.02)
