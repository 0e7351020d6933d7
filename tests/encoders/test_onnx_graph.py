"""The graph of an ONNX model: what is a layer of it, and what belongs to the layer before."""

from __future__ import annotations

import pytest
import torch
from helpers.encoders import export
from torch import nn

from earmark.encoders import onnx_graph
from earmark.errors import EarmarkError

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'earmark[onnx]'")


class Residual(nn.Module):
    """(batch, 40) -> (batch, 3): two layers, of which the second is added to the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(40, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, wave):
        first = self.first(wave).relu()
        return self.last(self.second(first).tanh() + first)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return export(Residual(), torch.zeros(1, 40), tmp_path_factory.mktemp("onnx") / "m.onnx").read_bytes()


def outside(tensor):
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")


def in_a_constant(graph):
    outside(graph.node.add(op_type="Constant").attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t)


def in_a_subgraph(graph):
    branch = graph.node.add(op_type="If").attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
    outside(branch.initializer.add(name="w"))


@pytest.mark.parametrize("hide", [lambda graph: outside(graph.initializer[0]), in_a_constant, in_a_subgraph])
def test_tensors_of_another_file_are_refused_wherever_they_stand(content, tmp_path, monkeypatch, hide):
    onnx_graph.require_whole(tmp_path / "m.onnx", content)
    model = onnx.load_model_from_string(content)
    hide(model.graph)
    told = r"m\.onnx must hold all of its tensors, but .* lies in another file \('secret\.bin'\)"
    with pytest.raises(EarmarkError, match=told):
        onnx_graph.require_whole(tmp_path / "m.onnx", model.SerializeToString())
    monkeypatch.setattr(onnx_graph, "readable", lambda: False)
    with pytest.raises(EarmarkError, match=r"m\.onnx may keep tensors in other files: `pip install onnx`"):
        onnx_graph.require_whole(tmp_path / "m.onnx", model.SerializeToString())


def test_a_tensor_whose_name_has_the_word_location_is_no_other_file(content, tmp_path):
    model = onnx.load_model_from_string(content)
    model.graph.initializer[0].name += "location"
    onnx_graph.require_whole(tmp_path / "m.onnx", model.SerializeToString())


def test_an_activation_belongs_to_its_layer_and_a_sum_of_layers_is_one(content):
    made = {name: node.op_type for node in onnx.load_model_from_string(content).graph.node for name in node.output}
    inner, outputs = onnx_graph.layers(content)
    assert [made[name] for name in inner] == ["Relu", "Tanh", "Add"]
    assert outputs == ["output"]


def test_a_bias_that_is_added_belongs_to_its_layer(tmp_path):
    class Framed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, wave):
            return self.last(self.first(wave.reshape(-1, 10, 4)))  # of three axes: a product, and a sum after it

    content = export(Framed(), torch.zeros(1, 40), tmp_path / "m.onnx").read_bytes()
    made = {name: node.op_type for node in onnx.load_model_from_string(content).graph.node for name in node.output}
    assert [made[name] for name in onnx_graph.layers(content)[0]] == ["Add"]


def test_a_tensor_that_is_not_there_is_refused_with_those_that_are(content, tmp_path):
    inner, _ = onnx_graph.layers(content)
    with pytest.raises(EarmarkError, match=r"outputs of .*m\.onnx \(output\) or one of its \d+ .*, got 'outputs'"):
        onnx_graph.with_outputs(content, [*inner, "outputs"], tmp_path / "m.onnx")
    assert onnx_graph.layers(onnx_graph.with_outputs(content, inner, tmp_path / "m.onnx"))[1] == ["output", *inner]


def test_without_the_package_inner_layers_ask_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_graph, "readable", lambda: False)
    with pytest.raises(EarmarkError, match=r"must be one of a, b, got 'c'; for layers within .*: `pip install onnx`"):
        onnx_graph.require_readable(tmp_path / "m.onnx", "c", ["a", "b"])
