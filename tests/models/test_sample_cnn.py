"""The two sample-level CNNs: the rows of the published tables, gradients, and inputs that do not fit."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, single_thread

from earmark.models import sample_cnn
from earmark.models.sample_cnn import SONG, SampleCNN, _steps

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_the_rows_of_the_published_table() -> None:
    sizes = [_steps(465_984, SONG[:layers]) for layers in range(1, len(SONG) + 1)]
    assert sizes == [155_328, 51_776, 17_258, 5_752, 1_917, 639, 213, 71, 23]
    with torch.device("meta"):
        model = SampleCNN(50, 465_984, 1, whole_song=True)
        vectors = torch.empty(1, 1, 465_984)
        for layer, size in zip(model.layers, sizes, strict=True):
            vectors = layer(vectors)
            assert vectors.shape[2] == size
        assert model.eval()(torch.empty(1, 465_984, 1)).shape == (1, 50)


def test_odd_lengths_and_a_single_clip() -> None:
    assert_scores(SampleCNN(4, 19_700, 1, whole_song=True), (1, 19_700, 1), (2, 19_700, 1), n_tags=4)
    assert_scores(SampleCNN(4, 59_049, 1, whole_song=False), (1, 59_049, 1), (1, 118_099, 1), n_tags=4)


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(SampleCNN(4, 19_683, 1, whole_song=True), (2, 19_683, 1), n_tags=4)
    assert_gradients(SampleCNN(4, 59_049, 1, whole_song=False), (2, 59_049, 1), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: SampleCNN(4, 19_683, 1, whole_song=True), (2, 19_683, 1))


def test_what_does_not_fit_is_refused_with_the_limit() -> None:
    with pytest.raises(ValueError, match="frames must be at least 59049, got 59048"):
        sample_cnn.build(50, 59_048, 1)
    with pytest.raises(ValueError, match="frames must be at least 19683, got 100"):
        sample_cnn.build(50, 100, 1, whole_song=True)
    with pytest.raises(ValueError, match="dims must be 1, got 96"):
        sample_cnn.build(50, 59_049, 96)
