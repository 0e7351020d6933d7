"""The CRNN: its padding, gradients, and inputs that are too small."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread

from earmark.models.crnn import ConvolutionalRecurrent

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_the_published_input_is_padded_to_15_steps() -> None:
    model = ConvolutionalRecurrent(5, 1366, 96).eval()
    seen: list[tuple[int, ...]] = []
    model.blocks.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0].shape, output.shape)))
    with torch.no_grad():
        assert model(torch.randn(1, 1366, 96)).shape == (1, 5)
    assert seen == [(1, 1, 1440, 96), (1, 128, 15, 1)]


def test_padding_is_on_both_sides_and_only_where_frames_are_missing() -> None:
    torch.manual_seed(0)
    model = ConvolutionalRecurrent(5, 190, 96).eval()
    features = torch.zeros(1, 192, 96)
    features[:, 1:191] = torch.randn(1, 190, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(features[:, 1:191]), model(features))


def test_odd_lengths_and_a_single_clip() -> None:
    model = ConvolutionalRecurrent(4, 100, 96)
    assert_scores(model, (1, 1, 96), (2, 100, 96), (1, 193, 96), n_tags=4)
    assert_scores(ConvolutionalRecurrent(4, 50, 193), (1, 50, 193), n_tags=4)


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(ConvolutionalRecurrent(4, 190, 96), (3, 190, 96), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: ConvolutionalRecurrent(4, 96, 96), (2, 96, 96))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    model = ConvolutionalRecurrent(3, 96, 96)
    assert auc_after_overfit(model, (8, 96, 96), steps=60, rate=0.003) == 1.0


def test_too_few_bands_are_refused_with_the_limit() -> None:
    with pytest.raises(ValueError, match="dims must be at least 96, got 84"):
        ConvolutionalRecurrent(50, 1366, 84)
