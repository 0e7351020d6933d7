"""Short-chunk CNN: sizes of its blocks, gradients, and inputs of any size."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread

from earmark.models.short_chunk import ResidualBlock, ShortChunkCNN

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_seven_blocks_leave_one_band_of_128() -> None:
    with torch.device("meta"):
        model = ShortChunkCNN(50, 231, 128)
        assert model.blocks(torch.empty(1, 1, 231, 128)).shape == (1, 512, 2, 1)


def test_a_block_halves_and_rounds_up() -> None:
    assert ResidualBlock(2, 5)(torch.randn(2, 2, 7, 4)).shape == (2, 5, 4, 2)


def test_any_size_and_a_single_clip() -> None:
    assert_scores(ShortChunkCNN(4, 231, 128, channels=8), (1, 231, 128), (2, 33, 7), (1, 1, 1), n_tags=4)


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(ShortChunkCNN(4, 140, 60, channels=8), (4, 140, 60), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: ShortChunkCNN(4, 40, 30, channels=8), (3, 40, 30))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    model = ShortChunkCNN(3, 40, 30, channels=16)
    assert auc_after_overfit(model, (8, 40, 30), steps=60, rate=0.003) == 1.0
