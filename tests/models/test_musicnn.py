"""musicnn: its filters, gradients, and inputs that are too small."""

from __future__ import annotations

import pytest
import torch
from helpers.model_checks import assert_gradients, assert_reloads, assert_scores, auc_after_overfit, single_thread
from torch import nn

from earmark.models.musicnn import MusiCNN

one_thread = pytest.fixture(autouse=True, scope="module")(single_thread)


def test_the_front_end_keeps_the_length_and_has_561_filters() -> None:
    model = MusiCNN(50, 187, 96)
    assert [tuple(bank.convolution.kernel_size) for bank in model.front] == [
        (7, 38),
        (7, 67),
        (128, 1),
        (64, 1),
        (32, 1),
    ]
    with torch.no_grad():
        shapes = [bank(torch.randn(1, 1, 20, 96)).shape for bank in model.front]
    assert shapes == [(1, n, 20) for n in (204, 204, 51, 51, 51)]


def test_any_length_and_a_single_clip() -> None:
    assert_scores(MusiCNN(4, 40, 24), (1, 40, 24), (2, 7, 24), (1, 61, 24), n_tags=4)


def test_gradients_reach_every_parameter() -> None:
    assert_gradients(MusiCNN(4, 20, 16), (4, 20, 16), n_tags=4)


def test_saved_weights_give_the_same_scores() -> None:
    assert_reloads(lambda: MusiCNN(4, 20, 16), (3, 20, 16))


def test_overfits_eight_clips() -> None:
    torch.manual_seed(1)
    assert auc_after_overfit(MusiCNN(3, 20, 12), (8, 20, 12), steps=40, rate=0.003) == 1.0


def test_too_few_bands_are_refused_with_the_limit() -> None:
    with pytest.raises(ValueError, match="dims must be at least 3, got 2"):
        MusiCNN(50, 187, 2)


def test_the_epsilon_reaches_every_batch_norm_and_is_torchs_by_default() -> None:
    for options, expected in (({}, 1e-5), ({"epsilon": 0.001}, 0.001)):
        norms = [m for m in MusiCNN(4, 20, 16, **options).modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert len(norms) == 11
        assert {norm.eps for norm in norms} == {expected}


def test_layers_have_names_that_hold_no_weights() -> None:
    """What they give is checked in tests/weights/test_musicnn.py."""
    model = MusiCNN(4, 20, 16)
    names = {name for name, module in model.named_children() if isinstance(module, nn.Identity)}
    assert names == {
        "timbral", "temporal", "cnn1", "cnn2", "cnn3", "max_pool", "mean_pool", "penultimate", "logits",
    }  # fmt: skip
    assert not any(key.startswith(tuple(names)) for key in model.state_dict())


def test_one_band_is_normed_in_place_of_all_with_the_same_bits() -> None:
    """A norm with a negative scale turns the order of the bands around."""
    torch.manual_seed(3)
    bank = MusiCNN(4, 20, 16).front[0].eval()
    nn.init.normal_(bank.norm.weight)
    nn.init.normal_(bank.norm.running_mean)
    maps = torch.randn(2, 1, 20, 16)
    with torch.no_grad():
        expected = bank.norm(bank.convolution(bank.pad(maps)).relu()).amax(dim=3)
        assert {bool(sign) for sign in bank.norm.weight < 0} == {False, True}
        assert torch.equal(bank(maps), expected)
