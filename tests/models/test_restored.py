"""A saved model is the same network, whether its weights were drawn first or not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.families import SMALL, model
from torch import nn

from earmark.models import networks
from earmark.models.restored import restored
from earmark.models.saved import ModelError, SavedModel

FAMILIES = SMALL | {"harmonic_cnn": (81_000, 1, {})}  # which has buffers that no file holds


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_is_the_one_that_is_built(family):
    saved = model(family, *FAMILIES[family])
    built, found = saved.build(), restored(saved)
    features = torch.randn(2, saved.network_frames, saved.dims)
    with torch.no_grad():
        assert torch.equal(found(features), built(features))
    assert not found.training
    wanted = {name: (p.requires_grad, p.dtype, p.device) for name, p in built.named_parameters()}
    assert {name: (p.requires_grad, p.dtype, p.device) for name, p in found.named_parameters()} == wanted


def test_no_weight_is_drawn(monkeypatch):
    saved = model("recurrent", *SMALL["recurrent"])

    def drawn(_: SavedModel) -> nn.Module:
        raise AssertionError("built")

    monkeypatch.setattr(SavedModel, "build", drawn)
    state = torch.get_rng_state()
    restored(saved)
    assert torch.equal(torch.get_rng_state(), state)


class Attribute(nn.Module):
    """A network with values that stand in no state dict."""

    def __init__(self, n_tags: int, dims: int) -> None:
        super().__init__()
        self.output = nn.Linear(dims, n_tags)
        self.window = [torch.linspace(0, 1, dims)]

    def forward(self, features):
        return self.output(features.mean(1) * self.window[0])


class Reading(Attribute):
    """A network that looks at the values that it draws."""

    def __init__(self, n_tags: int, dims: int) -> None:
        super().__init__(n_tags, dims)
        self.first = float(self.window[0][1])


@pytest.mark.parametrize("kind", [Attribute, Reading])
def test_a_network_with_values_of_its_own_keeps_them(kind, monkeypatch):
    monkeypatch.setattr(networks, "network", lambda _family, n_tags, _frames, dims, _options: kind(n_tags, dims))
    saved = replace(model("linear", *SMALL["linear"]), weights=kind(4, 7).state_dict())
    features = torch.randn(2, 8, 7)
    with torch.no_grad():
        assert torch.equal(restored(saved)(features), saved.build()(features))


def test_weights_that_do_not_fit_are_told_as_by_build():
    saved = model("recurrent", *SMALL["recurrent"])
    with pytest.raises(ModelError, match="does not fit the code of its family 'recurrent'"):
        restored(replace(saved, dims=9))
