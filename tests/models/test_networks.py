"""A network by its name and options, and the embedding of a clip, which its logits are computed from."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from helpers.families import SMALL
from helpers.own_code import write_own as write_own
from torch import nn

from earmark.models import networks, recurrent
from earmark.sections import ConfigError, one_of
from earmark.storage import provenance
from earmark.systems import own, published
from earmark.training import recipes

FRAMES = {  # of one system per kind of network
    "scat-4l-256h-gru": 8, "scat-4l-256h-bn-lstm": 8, "scat-5l-512h-gru-fused": 4, "mel-5l-512h-gru": 30,
    "scat-4l-cnn": 96, "mel-2d-cnn": 64, "mel-bilstm": 12, "crnn": 96, "sample-cnn": 60_000, "sample-cnn-song": 20_000,
    "short-chunk-cnn-res": 40, "musicnn": 40, "harmonic-cnn": 81_000, "linear": 8,
}  # fmt: skip


def test_every_family_of_a_paper_is_here():
    of_papers = {
        system.family
        for system in published.SYSTEMS.values()
        if system.parameters is not None and system.source != own.SOURCE
    }
    here = {published.get(name).family for name in FRAMES}
    assert of_papers | {"linear"} == here <= set(provenance.plugins("models"))


@pytest.mark.parametrize("name", FRAMES)
def test_the_last_layer_makes_the_logits_of_the_embedding(name):
    torch.manual_seed(0)
    network = published.build(name, 3, FRAMES[name]).eval()
    features = torch.randn(2, FRAMES[name], published.get(name).dims)
    with torch.no_grad():
        embedding = networks.embed(network, features)
        assert embedding.dim() == 2
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        torch.testing.assert_close(last(embedding), network(features))
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_the_last_layer_is_the_one_that_runs_last():
    class Reversed(nn.Module):
        def __init__(self):
            super().__init__()
            self.output, self.dense = nn.Linear(5, 2), nn.Linear(4, 5)

        def forward(self, features):
            return self.output(self.dense(features.mean(1)))

    assert networks.embed(Reversed(), torch.randn(3, 7, 4)).shape == (3, 5)


def test_a_network_without_a_linear_layer_has_no_embedding():
    boosting = published.build("histogram-boosting", 3, 8)
    with pytest.raises(ValueError, match=r"HistogramBoosting runs no nn\.Linear, whose input would be the embedding"):
        networks.embed(boosting, torch.randn(3, 8, 433))
    with pytest.raises(ValueError, match=r"Flatten runs no nn\.Linear, whose input would be the embedding"):
        networks.embed(nn.Flatten(), torch.randn(3, 7, 4))


OWN = "def build(n_tags, frames, dims, *, units: int = 64, layers: int, rate=0.5): ...\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"layers": 1, "unit": 5},
            "unknown key experiments.x.network.unit, got 5: mine takes units, layers, rate: close",
        ),
        ({"layers": 1, "zoom": 5}, "unknown key experiments.x.network.zoom, got 5: mine takes units, layers, rate"),
        ({}, "key experiments.x.network.layers is missing"),
        ({"layers": "two"}, "experiments.x.network.layers: input should be a valid integer, unable to parse"),
        ({"layers": 1, "n_tags": 3}, "unknown key experiments.x.network.n_tags, got 3: mine takes units, layers, rate"),
    ],
)
def test_options_are_those_of_the_signature(write_own, given, message):
    write_own(OWN)
    assert networks.resolve("mine", {"layers": 2}) == {"units": 64, "layers": 2, "rate": 0.5}
    with pytest.raises(ConfigError) as caught:
        networks.resolve("mine", given, "experiments", "x", "network")
    assert str(caught.value).startswith(message)


def test_a_network_without_options_says_so_and_one_with_open_ones_takes_any(write_own):
    write_own("def build(n_tags, frames, dims): ...\n")
    with pytest.raises(ConfigError, match=r"unknown key network\.units, got 5: mine takes no options$"):
        networks.resolve("mine", {"units": 5}, "network")
    write_own("def build(n_tags, frames, dims, *, units: int = 3, **options): ...\n")
    assert networks.resolve("mine", {"depth": 2}) == {"units": 3, "depth": 2}
    write_own("def build(**options): ...\n")
    assert networks.resolve("mine", {"depth": 2}) == {"depth": 2}


def test_a_file_without_build_is_named_where_the_model_is_set(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mine.py").write_text("def built(n_tags, frames, dims): ...\n")
    (tmp_path / "models/fine.py").write_text("def build(n_tags, frames, dims): ...\n")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    with pytest.raises(ValueError, match=r"got 'mine': mine\.py is there, but has no `build` at its top level$"):
        one_of("models", "mine")
    with pytest.raises(ValueError, match=r"must be one of fine, got 'fin': close to fine$"):
        one_of("models", "fin")


SIZES = {
    **{name: (name, *given) for name, given in SMALL.items() if name not in ("linear", "histogram_boosting")},
    "harmonic_cnn": ("harmonic_cnn", 81_000, 1, {}),
    **{cell: ("recurrent", 6, 7, {"cell": cell, "layers": 2, "units": 8}) for cell in get_args(recurrent.Cell)},
}


@pytest.mark.parametrize("name", SIZES)
def test_every_network_learns_where_halves_of_numbers_suffice(name):
    family, frames, dims, options = SIZES[name]
    torch.manual_seed(0)
    network = networks.network(family, 3, frames, dims, networks.resolve(family, options)).train()
    features, targets = torch.randn(4, frames, dims), (torch.rand(4, 3) < 0.5).float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = recipes.loss(network(features), targets)
    loss.backward()
    found = [weights.grad for weights in network.parameters() if weights.grad is not None]
    assert found
    assert all(torch.isfinite(gradient).all() for gradient in found)
    assert {gradient.dtype for gradient in found} == {torch.float32}
