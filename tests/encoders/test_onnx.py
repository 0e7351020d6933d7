"""ONNX models as encoders: waves or features in, any output or inner tensor out, windows in batches."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from helpers.encoders import RATE, encoder, export, waves
from torch import nn

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig
from earmark.encoders import onnx as backend
from earmark.encoders import onnx_graph
from earmark.representations.encoder import opened

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'earmark[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'earmark[onnx]'")
WINDOW = 4_000


class Strided(nn.Module):
    """(batch, WINDOW) -> (batch, 10, 6): two layers of convolution over the wave."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv1d(1, 4, 400, 400), nn.Conv1d(4, 6, 1)

    def forward(self, wave):
        return self.second(self.first(wave.unsqueeze(1)).relu()).movedim(1, 2)


@pytest.fixture(scope="module")
def strided(tmp_path_factory):
    network = Strided().eval()
    return network, export(network, torch.zeros(1, WINDOW), tmp_path_factory.mktemp("onnx") / "strided.onnx")


def test_a_clip_is_heard_in_windows_of_the_models_own_length(strided):
    network, file = strided
    heard = encoder(file, pooling="none")
    with torch.no_grad():
        wanted = torch.cat([network(part) for part in waves().split(WINDOW, dim=1)], dim=1)
    torch.testing.assert_close(heard(waves()), wanted, rtol=1e-4, atol=1e-5)
    assert heard.axes["seconds_per_frame"] == pytest.approx(WINDOW / RATE / 10)
    assert heard.warning("mine") == ""
    assert encoder(file, hop=WINDOW // 2).n_frames == 9
    assert "20.0 %" in encoder(file, samples=15_000 - 10_000).warning("mine")


@pytest.mark.parametrize("shape", [(1, 1, WINDOW), (1, WINDOW, 1)])
def test_a_wave_may_have_an_axis_more(tmp_path, shape):
    class Shaped(Strided):
        def forward(self, wave):
            return super().forward(wave.flatten(1))

    network = Shaped().eval()
    heard = encoder(export(network, torch.zeros(shape), tmp_path / "m.onnx"))
    with torch.no_grad():
        first = network(waves()[:, :WINDOW]).mean(1)
    torch.testing.assert_close(heard(waves())[:, 0], first, rtol=1e-4, atol=1e-5)


def test_a_model_of_one_clip_at_a_time_and_one_of_any_length_are_run(tmp_path):
    one = encoder(export(Strided(), torch.zeros(1, WINDOW), tmp_path / "one.onnx", dynamic_axes={}))
    assert one(waves()).shape == (3, 5, 6)
    axes = {"input": {0: "batch", 1: "samples"}, "output": {0: "batch", 1: "frames"}}
    free = encoder(export(Strided(), torch.zeros(1, WINDOW), tmp_path / "any.onnx", dynamic_axes=axes), pooling="none")
    assert free(waves()).shape == (3, 50, 6)
    torch.testing.assert_close(free(waves()).reshape(3, 5, 10, 6).mean(2), one(waves()), rtol=1e-4, atol=1e-5)


def test_an_inner_tensor_is_a_layer(strided):
    network, file = strided
    names = [name for node in onnx.load(file).graph.node for name in node.output]
    relu = next(name for name in names if "Relu" in name)
    heard = encoder(file, layer=relu, pooling="none")
    with torch.no_grad():
        wanted = network.first(waves()[:, :WINDOW].unsqueeze(1)).relu()
    torch.testing.assert_close(heard(waves())[:, :4], wanted, rtol=1e-4, atol=1e-5)  # channels first


def test_several_layers_come_out_of_one_pass(strided):
    _, file = strided
    (inner, before), _ = onnx_graph.layers(file.read_bytes())  # the output is the last one with its axes swapped
    network = opened(file, RATE, 20_000, [inner, "output"])
    assert dict(network.layers().shapes) == {inner: (4, 10), before: (6, 10), "output": (10, 6)}
    assert network.shapes == [(5, 4, 10), (5, 10, 6)]
    for layer, found in zip((inner, "output"), network(waves()), strict=True):
        torch.testing.assert_close(opened(file, RATE, 20_000, [layer])(waves())[0], found, rtol=1e-4, atol=1e-5)


def test_without_the_package_onnx_its_outputs_are_its_layers(strided, monkeypatch):
    monkeypatch.setattr(onnx_graph, "readable", lambda: False)
    found = opened(strided[1], RATE, 20_000, [None]).layers()
    assert dict(found.shapes) == {"output": (10, 6)}
    assert "`pip install onnx`" in found.note


@pytest.mark.parametrize("transposed", [False, True])
def test_a_network_of_features_gets_them_from_the_projects_own_transform(tmp_path, transposed):
    class Bands(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(24, 7)

        def forward(self, mel):
            return self.layer(mel.transpose(1, 2) if transposed else mel).relu()

    front = {"kind": "mel", "n_mels": 24, "n_fft": 512, "hop": 256}
    example = torch.zeros(1, 24, 20) if transposed else torch.zeros(1, 20, 24)
    network = Bands().eval()
    heard = encoder(export(network, example, tmp_path / "m.onnx"), front=front, pooling="none")
    mel = representations.of(RepresentationConfig(rate=RATE, samples=20_000, **front))(waves())[:, :60]
    with torch.no_grad():
        wanted = network.layer(mel).relu()
    torch.testing.assert_close(heard(waves()), wanted, rtol=1e-4, atol=1e-4)
    assert heard.axes["seconds_per_frame"] == pytest.approx(256 / RATE)
    with pytest.raises(ConfigError, match=r"its input must be a wave .*; if it reads features, `front: "):
        encoder(tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match=r"its input must be features .* of the 30 dims that front has"):
        encoder(tmp_path / "m.onnx", front=front | {"n_mels": 30})


def test_what_is_no_model_or_lacks_the_layer_is_refused(tmp_path, strided):
    _, file = strided
    with pytest.raises(
        ConfigError,
        match=r"layer must be one of the outputs .*\(output\) or one of its \d+ inner .*: close to output",
    ):
        encoder(file, layer="ouput")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ConfigError, match=r"text\.onnx is no model that onnxruntime \S+ can read: .*INVALID_PROTOBUF"):
        encoder(tmp_path / "text.onnx")
    (tmp_path / "half.onnx").write_bytes(file.read_bytes()[:200])
    with pytest.raises(ConfigError, match=r"half\.onnx is no model that onnxruntime"):
        encoder(tmp_path / "half.onnx")
    model = onnx.load(file)
    model.opset_import[0].version = 999
    onnx.save(model, tmp_path / "future.onnx")
    with pytest.raises(ConfigError, match=r"future\.onnx is no model that onnxruntime .*opset"):
        encoder(tmp_path / "future.onnx")


def graph(path, *nodes, tensors=(), wave=16_000):
    """Write a graph from x (batch, samples) to y."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["b", wave])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["b", None])
    made = onnx.helper.make_graph(list(nodes), "g", [x], [y], list(tensors))
    opset = [onnx.helper.make_opsetid("", 17)]
    path.write_bytes(onnx.helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString())
    return path


def test_a_graph_that_loops_without_end_is_given_up(tmp_path, monkeypatch):
    node, of = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    outer = [of("i", onnx.TensorProto.INT64, []), of("c", onnx.TensorProto.BOOL, [])]
    body = onnx.helper.make_graph(
        [node("Identity", ["c"], ["c2"]), node("Identity", ["v"], ["v2"])], "body",
        [*outer, of("v", onnx.TensorProto.FLOAT, None)],
        [of("c2", onnx.TensorProto.BOOL, []), of("v2", onnx.TensorProto.FLOAT, None)],
    )  # fmt: skip
    trips = onnx.numpy_helper.from_array(np.array(2**62, np.int64), "trips")
    go = onnx.numpy_helper.from_array(np.array(True), "go")
    path = graph(tmp_path / "loop.onnx", node("Loop", ["trips", "go", "x"], ["y"], body=body), tensors=[trips, go])
    monkeypatch.setattr(backend, "TRIAL", 0.1)
    with pytest.raises(ConfigError, match=r"loop\.onnx: .*a window of silence took more than 0\.1 s: a loop without"):
        encoder(path)


ALLOCATING = """
import sys
from pathlib import Path
from earmark.encoders import onnx
from earmark.errors import EarmarkError
onnx.memory.available = lambda: 1_000_000_000
try:
    onnx.read(Path(sys.argv[1]), 16_000, 16_000, [None], None, None)
except EarmarkError as error:
    print(error)
"""


def test_a_graph_takes_no_more_memory_than_there_is(tmp_path):
    size = onnx.numpy_helper.from_array(np.array([300_000_000], np.int64), "size")
    node = onnx.helper.make_node
    path = graph(
        tmp_path / "large.onnx", node("ConstantOfShape", ["size"], ["zeros"]),
        node("ReduceSum", ["zeros"], ["sum"], keepdims=1), node("Add", ["x", "sum"], ["y"]), tensors=[size],
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", ALLOCATING, str(path)], capture_output=True, text=True, check=True)
    assert "large.onnx" in done.stdout
    assert "smaller than requested bytes of 1200000000" in done.stdout


@pytest.mark.parametrize("samples", [0, 10**13])
def test_windows_that_are_empty_or_larger_than_memory_are_refused(tmp_path, samples):
    path = graph(tmp_path / "m.onnx", onnx.helper.make_node("Identity", ["x"], ["y"]), wave=samples)
    with pytest.raises(ConfigError, match=r"m\.onnx: its input must be windows of at least 1 frame that fit"):
        encoder(path)


@pytest.mark.parametrize(
    ("front", "told"),
    [
        ({"kind": "mel", "rate": 5}, r"front\.rate must be left out, got 5"),
        ({"kind": "mel", "samples": 5}, r"front\.samples must be left out, got 5"),
        ({"x": 5}, r"front: key kind is missing"),
        ({"kind": "mel", "hop": "far"}, r"hop: .*'far'"),
    ],
)
def test_a_front_that_is_no_representation_is_told(tmp_path, front, told):
    path = graph(tmp_path / "m.onnx", onnx.helper.make_node("Identity", ["x"], ["y"]))
    with pytest.raises(ConfigError, match=rf"m\.onnx: .*{told}"):
        encoder(path, front=front)


def test_a_model_with_two_inputs_is_refused(tmp_path):
    class Two(nn.Module):
        def forward(self, a, b):
            return a + b

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Two(), (torch.zeros(1, 9), torch.zeros(1, 9)), str(tmp_path / "two.onnx"), dynamo=False)
    with pytest.raises(ConfigError, match=r"two\.onnx must have one input of float32, got .*, "):
        encoder(tmp_path / "two.onnx")


@pytest.fixture(scope="module")
def basic_pitch(tmp_path_factory):
    """basic-pitch's network (Bittner et al. 2022), out of its wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        "basic-pitch==0.4.0",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("basic-pitch's wheel cannot be fetched: pip reaches no registry that has it")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("nmp.onnx"))
        (folder / "nmp.onnx").write_bytes(wheel.read(name))
    return folder / "nmp.onnx"


def test_basic_pitch_hears_the_pitch_of_a_tone(basic_pitch):
    """Its first output are notes, 88 of a piano from A0 on: 440 Hz is the 49th key."""
    heard = encoder(basic_pitch, samples=60_000, rate=22_050, layer="StatefulPartitionedCall:1")
    time = torch.arange(60_000) / 22_050
    tone = 0.3 * sum(torch.sin(2 * np.pi * 440 * n * time) / n for n in (1, 2, 3, 4))
    found = heard(tone[None])
    assert found.shape == (1, 1, 88)
    assert int(found[0, 0].argmax()) == 48
