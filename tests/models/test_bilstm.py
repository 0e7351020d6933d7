"""The BiLSTM: any number of layers, gradients, and inputs that are too small."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread

from earmark.models.bilstm import BidirectionalLSTM

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_odd_sizes_and_a_single_clip() -> None:
    assert_scores(BidirectionalLSTM(4, 19, 5), (1, 19, 5), (2, 19, 5), n_tags=4)


def test_layers_and_convolutions_of_other_numbers() -> None:
    model = BidirectionalLSTM(4, 19, 5, layers=3, units=6, convolutions=2, channels=7, dropout=0.5, activation="elu")
    assert_scores(model, (2, 19, 5), n_tags=4)
    assert model.output.in_features == (19 - 4) * 7
    assert not torch.equal(model.train()(torch.ones(1, 19, 5)), model(torch.ones(1, 19, 5)))


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(BidirectionalLSTM(4, 19, 5, units=8), (3, 19, 5), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: BidirectionalLSTM(4, 19, 5), (3, 19, 5))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    assert auc_after_overfit(BidirectionalLSTM(3, 19, 5, units=16), (8, 19, 5), steps=100, rate=0.01) == 1.0


def test_too_few_frames_are_refused_with_the_limit() -> None:
    with pytest.raises(ValueError, match="frames must be at least 7, got 6"):
        BidirectionalLSTM(50, 6, 128)
