"""Layers of a network by name: several out of one pass, and what enters the last linear layer beside them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from earmark.encoders.layers import LayerOutputs
from earmark.errors import EarmarkError
from earmark.models import networks


class Network(nn.Module):
    """(batch, 10, 4) -> (batch, 2), by a recurrent layer, and with a module that does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.dense, self.idle = nn.GRU(4, 3, batch_first=True), nn.Linear(3, 2), nn.Linear(1, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.dense(self.rnn(x)[0].mean(dim=1))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network().eval()


CUTS = torch.randn(5, 10, 4, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_all_come_out_of_one_pass_in_the_order_of_their_names(network):
    states, embedding, logits = network.rnn(CUTS)[0], networks.embed(network, CUTS), network(CUTS)
    network.calls = 0
    found = LayerOutputs(network, ["logits", None, "rnn", "dense"])(CUTS)
    assert network.calls == 1
    expected = [logits[:, None], embedding[:, None], states, logits[:, None]]
    assert [tuple(each.shape) for each in found] == [(5, 1, 2), (5, 1, 3), (5, 10, 3), (5, 1, 2)]
    assert all(torch.equal(each, wanted) for each, wanted in zip(found, expected, strict=True))


def test_what_does_not_run_is_refused_and_so_is_what_is_not_there(network):
    with pytest.raises(EarmarkError, match=r"^layer must be logits or one of rnn, dense, idle, got 'dens': close to"):
        LayerOutputs(network, [None, "dens"])
    with pytest.raises(EarmarkError, match=r"^layer 'idle' is not run by the network$"):
        LayerOutputs(network, ["logits", "idle"])(CUTS)


def test_a_pass_does_not_give_what_an_earlier_one_that_failed_has_left(network):
    outputs = LayerOutputs(network, ["rnn"])
    network.dense.register_forward_pre_hook(lambda *_: (torch.zeros(1, 7),))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        outputs(CUTS)
    network.forward = lambda x: x[:, 0, :2]  # runs no layer at all
    with pytest.raises(EarmarkError, match=r"^layer 'rnn' is not run by the network$"):
        outputs(CUTS)
