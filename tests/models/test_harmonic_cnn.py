"""Harmonic CNN: its filters, gradients, and inputs that do not fit."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, single_thread

from earmark.models import harmonic_cnn
from earmark.models.harmonic_cnn import BANDS, HarmonicCNN, HarmonicFilters

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_a_tone_is_found_at_its_pitch_and_as_a_harmonic_of_lower_ones() -> None:
    filters = HarmonicFilters(16_000, 512, 6)
    tone = torch.sin(2 * math.pi * 880.0 * torch.arange(16_000) / 16_000).unsqueeze(0)
    with torch.no_grad():
        decibels = filters(tone)
    assert decibels.shape == (1, 6, 1 + 16_000 // 256, BANDS)
    loudest = decibels[0, :, 30].argmax(dim=1)
    for harmonic in range(6):
        pitch = 440 * 2 ** ((24 + loudest[harmonic].item() / 2 - 69) / 12)
        assert (harmonic + 1) * pitch == pytest.approx(880, rel=0.05)


def test_filters_are_triangles_of_unit_peak_that_narrow_with_q() -> None:
    filters = HarmonicFilters(16_000, 512, 6)
    filters.frequencies = filters.centres[:1] + torch.tensor([-100.0, 0.0, 100.0])
    width = 0.1079 * filters.centres[0] + 24.7
    with torch.no_grad():
        assert filters.filters()[:, 0].tolist() == [0.0, 1.0, 0.0]
        filters.frequencies = filters.centres[:1] + torch.stack([width / 4, width / 2])
        torch.testing.assert_close(filters.filters()[:, 0], torch.tensor([0.5, 0.0]), atol=1e-4, rtol=0)
        filters.Q.fill_(2.0)
        torch.testing.assert_close(filters.filters()[:, 0], torch.tensor([0.0, 0.0]), atol=1e-4, rtol=0)


def test_odd_lengths_and_a_single_clip() -> None:
    assert_scores(HarmonicCNN(4, 73_472, 1, channels=4), (1, 73_472, 1), (2, 80_001, 1), n_tags=4)


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(HarmonicCNN(4, 80_000, 1, channels=4), (3, 80_000, 1), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: HarmonicCNN(4, 80_000, 1, channels=4), (2, 80_000, 1))


def test_what_does_not_fit_is_refused_with_the_limit() -> None:
    with pytest.raises(ValueError, match="frames must be at least 73472, got 59049"):
        harmonic_cnn.build(50, 59_049, 1)
    with pytest.raises(ValueError, match="dims must be 1, got 128"):
        harmonic_cnn.build(50, 80_000, 128)
