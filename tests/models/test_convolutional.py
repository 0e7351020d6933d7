"""The CNNs and the BiLSTM: sizes of their layers, gradients, and inputs that are too small."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread
from torch import nn

from earmark.models import convolutional
from earmark.models.convolutional import (
    FCN_POOLS,
    SCATTERING_POOLS,
    BidirectionalLSTM,
    Convolutional2d,
    FullyConvolutional,
)
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


def test_published_sizes_of_what_the_layers_leave() -> None:
    assert 64 * size_after(261, (2,) * 4, 3) * size_after(128, (2,) * 4, 3) == 5376
    assert [size_after(n, [p[i] for p in SCATTERING_POOLS]) for i, n in enumerate((114, 433))] == [1, 1]
    assert [size_after(n, [p[i] for p in FCN_POOLS]) for i, n in enumerate((1366, 96))] == [1, 1]


@pytest.mark.parametrize(("pools", "kernel"), [((2, 3, 4, 4), 1), ((2, 2, 2, 2), 3), ((3, 6), 1)])
def test_the_smallest_size_leaves_one_and_one_less_nothing(pools: tuple[int, ...], kernel: int) -> None:
    smallest = smallest_size(pools, kernel)
    assert size_after(smallest, pools, kernel) == 1
    assert size_after(smallest - 1, pools, kernel) == 0


def test_odd_sizes_and_a_single_clip() -> None:
    assert_scores(Convolutional2d(4, 57, 49), (1, 57, 49), (2, 57, 49), n_tags=4)
    assert_scores(Convolutional2d(4, 46, 46), (1, 46, 46), n_tags=4)
    assert_scores(BidirectionalLSTM(4, 19, 5), (1, 19, 5), (2, 19, 5), n_tags=4)


def test_fully_convolutional_networks_take_any_length() -> None:
    assert_scores(FullyConvolutional(4, 114, 433, pools=SCATTERING_POOLS), (1, 114, 433), n_tags=4)
    small = FullyConvolutional(4, 20, 20, pools=((2, 2), (2, 2), (2, 2), (2, 2)))
    assert_scores(small, (1, 20, 20), (2, 33, 20), n_tags=4)


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(Convolutional2d(4, 50, 46), (3, 50, 46), n_tags=4)
    assert_gradients(BidirectionalLSTM(4, 19, 5, units=8), (3, 19, 5), n_tags=4)
    assert_gradients(FullyConvolutional(4, 32, 16, pools=((2, 2),) * 4), (2, 32, 16), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: Convolutional2d(4, 50, 46), (3, 50, 46))
    assert_reloads(lambda: BidirectionalLSTM(4, 19, 5), (3, 19, 5))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    assert auc_after_overfit(Convolutional2d(3, 50, 46), (8, 50, 46), steps=60, rate=0.003) == 1.0
    assert auc_after_overfit(BidirectionalLSTM(3, 19, 5, units=16), (8, 19, 5), steps=100, rate=0.01) == 1.0


@pytest.mark.parametrize(
    ("network", "frames", "dims", "message"),
    [
        ("2d-cnn", 45, 128, "frames must be at least 46, got 45"),
        ("2d-cnn", 261, 12, "dims must be at least 46, got 12"),
        ("scat-4l-cnn", 95, 433, "frames must be at least 96, got 95"),
        ("scat-4l-cnn", 114, 400, "dims must be at least 432, got 400"),
        ("fcn-4", 1279, 96, "frames must be at least 1280, got 1279"),
        ("bilstm", 6, 128, "frames must be at least 7, got 6"),
        ("3d-cnn", 114, 433, "network must be one of .*, got '3d-cnn'"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_limit(network: str, frames: int, dims: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convolutional.build(50, frames, dims, network=network)
