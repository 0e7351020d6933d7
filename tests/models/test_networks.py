"""The embedding of a clip is what its logits are computed from, whatever the family of the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from earmark.models import networks
from earmark.storage import provenance
from earmark.systems import published

FRAMES = {  # of one system per kind of network
    "scat-4l-256h-gru": 8, "scat-4l-256h-bn-lstm": 8, "scat-5l-512h-gru-fused": 4, "mel-5l-512h-gru": 30,
    "scat-4l-cnn": 96, "mel-2d-cnn": 64, "mel-bilstm": 12, "crnn": 96, "sample-cnn": 60_000, "sample-cnn-song": 20_000,
    "short-chunk-cnn-res": 40, "musicnn": 40, "harmonic-cnn": 81_000, "linear": 8,
}  # fmt: skip


def test_every_family_of_a_paper_is_here():
    of_papers = {system.family for system in published.SYSTEMS.values() if system.parameters is not None}
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
