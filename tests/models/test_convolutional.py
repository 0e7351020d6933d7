"""The 2-d CNN: sizes of its layers, gradients, and inputs that are too small."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread
from torch import nn

from earmark.models.convolutional import Convolutional2d
from earmark.models.layers.blocks import conv2d_block, size_after, smallest_size

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_the_block_is_the_published_order() -> None:
    torch.manual_seed(0)
    block = conv2d_block(2, 5, (2, 3), activation=nn.ELU).train()
    convolution, norm = block[0], block[1]
    nn.init.normal_(norm.weight)
    maps = torch.randn(3, 2, 9, 10)
    published = nn.MaxPool2d((2, 3))(nn.ELU()(norm(convolution(maps))))
    torch.testing.assert_close(block(maps), published)


def test_kernels_stored_channels_last_give_the_same_scores() -> None:
    torch.manual_seed(0)
    model, features = Convolutional2d(4, 50, 48), torch.randn(3, 50, 48)
    assert model.blocks.get_submodule("1.0").weight.is_contiguous(memory_format=torch.channels_last)
    scores = model.eval()(features)
    model.blocks.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    torch.testing.assert_close(model(features), scores)


def test_the_orientation_of_the_2d_cnn_is_immaterial() -> None:
    torch.manual_seed(0)
    model, swapped = Convolutional2d(4, 80, 48).eval(), Convolutional2d(4, 48, 80).eval()
    state = model.state_dict()
    for name, value in state.items():
        if value.ndim == 4:
            state[name] = value.transpose(2, 3)
    left = size_after(80, (2,) * 4, 3), size_after(48, (2,) * 4, 3)
    state["output.weight"] = state["output.weight"].view(4, 64, *left).transpose(2, 3).flatten(1)
    swapped.load_state_dict(state)
    features = torch.randn(2, 80, 48)
    torch.testing.assert_close(swapped(features.transpose(1, 2)), model(features), rtol=1e-4, atol=1e-5)


def test_the_published_input_leaves_5376_values() -> None:
    assert 64 * size_after(261, (2,) * 4, 3) * size_after(128, (2,) * 4, 3) == 5376
    with torch.device("meta"):
        assert Convolutional2d(50, 261, 128).output.in_features == 5376


@pytest.mark.parametrize(("pools", "kernel"), [((2, 3, 4, 4), 1), ((2, 2, 2, 2), 3), ((3, 6), 1)])
def test_the_smallest_size_leaves_one_and_one_less_nothing(pools: tuple[int, ...], kernel: int) -> None:
    smallest = smallest_size(pools, kernel)
    assert size_after(smallest, pools, kernel) == 1
    assert size_after(smallest - 1, pools, kernel) == 0


def test_odd_sizes_and_a_single_clip() -> None:
    assert_scores(Convolutional2d(4, 57, 49), (1, 57, 49), (2, 57, 49), n_tags=4)
    assert_scores(Convolutional2d(4, 46, 46), (1, 46, 46), n_tags=4)


def test_blocks_of_other_numbers_channels_and_pools() -> None:
    model = Convolutional2d(4, 30, 21, channels=[5, 6], pools=[[2, 3], [4, 1]], activation="tanh")  # type: ignore[list-item]
    assert_scores(model, (1, 30, 21), n_tags=4)
    assert model.output.in_features == 6 * 3 * 4  # (28 // 2 - 2) // 4 frames, 19 // 3 - 2 dims


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(Convolutional2d(4, 50, 46), (3, 50, 46), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: Convolutional2d(4, 50, 46), (3, 50, 46))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    assert auc_after_overfit(Convolutional2d(3, 50, 46), (8, 50, 46), steps=60, rate=0.003) == 1.0


@pytest.mark.parametrize(
    ("frames", "dims", "message"),
    [(45, 128, "frames must be at least 46, got 45"), (261, 12, "dims must be at least 46, got 12")],
)
def test_what_does_not_fit_is_refused_with_the_limit(frames: int, dims: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolutional2d(50, frames, dims)
