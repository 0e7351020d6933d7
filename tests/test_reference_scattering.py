"""The fast transform against its equations, which `reference_scattering.py` computes with full filters and signals."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_scattering import scattering

from earmark.representations.scattering import filters
from earmark.representations.scattering.transform import Scattering

TESTS = Path(__file__).parent
UNSAMPLED = 16  # an oversampling that keeps every sample of every signal


def noise(n):
    return np.random.default_rng(0).standard_normal(n)


def faded(n):
    """Noise that fades to nothing at both ends, so that it does not matter where the mirror stands."""
    return noise(n) * np.hanning(n) ** 2


def in_order(S):
    """The reference's coefficients as rows, ordered as the transform's: by order, then by the wavelets' numbers."""
    return np.array([S[key] for key in sorted(S, key=lambda key: (len(key), key))])


def both(x, T, Q, oversampling):
    """The transform's coefficients without ScatNet's gain, the reference's, and the order of each row."""
    settings = {
        "oversampling": oversampling,
        "bank": "scatnet",
        "padding": "exact",
        "max_order": 2,
        "J": None,
        "rate": 1.0,
    }
    s = Scattering(len(x), T=T, Q=Q, **settings, dtype=torch.float64)
    ours = s(torch.tensor(x)[None])[0].numpy() / s.hop**0.5
    return ours, in_order(scattering(x, Q, T, s.hop)), s.paths.order


def errors(ours, reference, order):
    """The relative errors of S0, S1 and S2."""
    assert ours.shape == reference.shape
    rows = [order == m for m in range(3)]
    return np.array([np.linalg.norm(ours[m] - reference[m]) / np.linalg.norm(reference[m]) for m in rows])


CASES = [(2**14, 512, (8, 1)), (2**13, 256, (1, 1)), (2**13, 500, (4, 2)), (9001, 256, (8, 1))]


@pytest.mark.parametrize(("n", "T", "Q"), CASES)
def test_with_every_sample_it_is_the_equations_up_to_the_tails_of_the_filters(n, T, Q):
    """ScatNet sets a filter to 0 where it is below a thousandth of its peak. That makes at most 9e-6 here."""
    ours, reference, order = both(noise(n), T, Q, UNSAMPLED)
    assert errors(ours, reference, order).max() < 2e-5
    assert (np.linalg.norm(ours - reference, axis=1) / np.linalg.norm(reference, axis=1)).max() < 1e-4


@pytest.mark.parametrize(("n", "T", "Q"), CASES[:3])
def test_with_every_sample_and_whole_filters_it_is_the_equations(monkeypatch, n, T, Q):
    """Only 4e-11 is left. At these lengths ScatNet's period is the reference's: the clip and its mirror image."""
    monkeypatch.setattr(filters, "scatnet_support", lambda band, _: band)
    assert errors(*both(noise(n), T, Q, UNSAMPLED)).max() < 1e-9


@pytest.mark.parametrize(("oversampling", "limit"), [(0, 0.2), (1, 2e-2), (2, 4e-3), (3, 5e-4), (4, 1e-4)])
def test_the_more_samples_it_keeps_the_closer_it_is_to_the_equations(oversampling, limit):
    error = errors(*both(faded(2**14), 512, (8, 1), oversampling)).max()
    assert limit / 4 < error < limit


def test_at_the_ends_it_differs_by_where_the_mirror_stands():
    """Half a sample past the last one that is kept, where the reference's stands half a sample past the clip."""
    ours, reference, order = both(noise(2**14), 512, (8, 1), 3)
    assert 2e-3 < errors(ours, reference, order).max() < 1e-2
    assert errors(ours[:, 16:-16], reference[:, 16:-16], order).max() < 1e-3


def test_scatnets_golden_output_is_the_equations_as_far_as_its_sampling_allows():
    """In the middle of an excerpt, which what precedes and follows it does not reach: 0.2 % of S1, 0.7 % of S2."""
    spec = importlib.util.spec_from_file_location("make_signal", TESTS / "golden/make_signal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    start, frames, ends, hop = 40, 16, 6, 4096
    excerpt = module.signal()[start * hop : (start + frames) * hop]
    golden = np.load(TESTS / "golden/scatnet_signal.npz")["S"][:, start : start + frames] / hop**0.5
    order = np.repeat([0, 1, 2], [1, 76, 356])
    S0, S1, S2 = errors(golden[:, ends:-ends], in_order(scattering(excerpt))[:, ends:-ends], order)
    assert S0 < 1e-6
    assert S1 < 4e-3
    assert S2 < 1e-2


def test_the_page_on_scattering_shows_this_reference():
    code = (TESTS / "reference_scattering.py").read_text(encoding="utf-8")
    assert f"```python\n{code}```\n" in (TESTS.parent / "docs/scattering.md").read_text(encoding="utf-8")


def test_the_page_names_what_is_there():
    page = (TESTS.parent / "docs/scattering.md").read_text(encoding="utf-8")
    file, found = "", 0
    for name, functions in re.findall(r"^\|(?: `(\w+)\.py`)? \|[^|]+\| ((?:`[\w.]+`(?:, )?)+) \|$", page, re.M):
        file = name or file
        package = "earmark.representations" + ("" if file == "spectrum" else ".scattering")
        for function in re.findall(r"`([\w.]+)`", functions):
            there = importlib.import_module(f"{package}.{file}")
            for part in function.split("."):
                there = getattr(there, part)
            found += 1
    assert found > 20
