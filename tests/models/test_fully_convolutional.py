"""The fully convolutional networks: sizes of their layers, gradients, and inputs that are too small."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread
from torch import nn

from earmark.models.fully_convolutional import FullyConvolutional
from earmark.systems import published

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def small(n_tags: int, frames: int, dims: int) -> FullyConvolutional:
    return FullyConvolutional(n_tags, frames, dims, channels=(8, 12, 16), pools=((2, 2), (2, 2), (2, 2)), dropout=0.1)


@pytest.mark.parametrize("name", ["scat-4l-cnn", "fcn-4"])
def test_the_published_pools_leave_one_value_of_the_published_input(name: str) -> None:
    system = published.get(name)
    with torch.device("meta"):
        model = published.build(name, 50)
        maps = model.get_submodule("blocks")(torch.empty(1, 1, system.frames, system.dims))
    assert maps.shape == (1, 2048, 1, 1)


def test_any_length_and_a_single_clip() -> None:
    assert_scores(FullyConvolutional(4, 114, 433), (1, 114, 433), n_tags=4)
    assert_scores(small(4, 20, 20), (1, 20, 20), (2, 33, 20), n_tags=4)


def test_the_rest_of_a_longer_input_counts_by_its_maximum() -> None:
    torch.manual_seed(0)
    model = small(4, 8, 8).eval()
    features = torch.zeros(1, 48, 8)
    features[:, 16:24] = torch.randn(1, 8, 8)
    later = features.roll(8, dims=1)
    torch.testing.assert_close(model(features), model(later))


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(small(4, 32, 16), (3, 32, 16), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: small(4, 32, 16), (3, 32, 16))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    assert auc_after_overfit(small(3, 16, 16), (8, 16, 16), steps=60, rate=0.003) == 1.0


def test_glorot_is_how_tensorflow_starts() -> None:
    torch.manual_seed(0)
    model = FullyConvolutional(40, 20, 20, channels=(16, 32), pools=((2, 2), (2, 2)), initialization="glorot")
    second = [m for m in model.modules() if isinstance(m, nn.Conv2d)][1]
    for weight, inputs, outputs in ((second.weight, 9 * 16, 9 * 32), (model.output.weight, 32, 40)):
        limit = (6 / (inputs + outputs)) ** 0.5
        assert 0.98 * limit < weight.abs().max() <= limit
    assert all(
        (m.bias == 0).all() for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.bias is not None
    )


def test_dropout_follows_every_block() -> None:
    rates = [m.p for m in FullyConvolutional(4, 114, 433, dropout=0.25).modules() if isinstance(m, nn.Dropout)]
    assert rates == [0.25] * 4


@pytest.mark.parametrize(
    ("name", "frames", "dims", "message"),
    [
        ("scat-4l-cnn", 95, 433, "frames must be at least 96, got 95"),
        ("scat-4l-cnn", 114, 400, "dims must be at least 432, got 400"),
        ("fcn-4", 1279, 96, "frames must be at least 1280, got 1279"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_limit(name: str, frames: int, dims: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        published.build(name, 50, frames, dims)
