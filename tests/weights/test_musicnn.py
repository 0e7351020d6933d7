"""musicnn's weights in our network give what its authors' network gives, and the tags that its package prints.

What compares with the real weights skips where they cannot be had: neither in data/weights, nor by pip. Never skipped:
the whole network, layer by layer, against the authors' code written down in NumPy, on weights that are drawn.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.checkpoints import checkpoint, musicnn, musicnn_arrays

from earmark import predict
from earmark.errors import EarmarkError
from earmark.models.musicnn import MusiCNN
from earmark.models.networks import count_parameters, embed
from earmark.models.saved import SavedModel
from earmark.weights import registry
from earmark.weights.checkpoint import File, read
from earmark.weights.command import convert
from earmark.weights.musicnn import OPTIONS, model, state_dict
from earmark.weights.sources import fetch

SMALL = {"timbre": 3, "rhythm": 2, "middle": 4, "units": 5}
CLIPS = ROOT.parent / "shared/golden"
GOLDEN = ROOT / "tests/golden/musicnn_mtt.npz"  # by `python tests/weights/test_musicnn.py`


def read_back(arrays):
    index, data = checkpoint(arrays)
    return read(File("index", index), File("data", data))


# --- never skipped


@pytest.mark.parametrize("frames", [187, 40, 3])
def test_every_layer_is_that_of_the_authors_network(frames):
    arrays = musicnn_arrays(tags=6, bands=24, **SMALL)
    network = MusiCNN(6, 187, 24, timbre_filters=3, rhythm_filters=2, middle=4, units=5, **OPTIONS)
    network.load_state_dict(state_dict(read_back(arrays), "here"))
    x = np.abs(np.random.default_rng(1).normal(size=(2, frames, 24))).astype(np.float32)
    expected, found = musicnn(arrays, x), {}
    for name in expected:
        network.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(x))
    assert torch.equal(found["logits"], logits)
    for name, values in expected.items():
        ours = found[name].numpy()
        ours = ours.transpose(0, 2, 1) if ours.ndim == 3 else ours
        np.testing.assert_allclose(ours, values, atol=1e-5 * np.abs(values).max(), err_msg=name)
    with torch.no_grad():
        assert torch.equal(embed(network, torch.from_numpy(x)), found["penultimate"])


def test_a_small_variance_tells_which_epsilon_is_the_networks():
    arrays = musicnn_arrays(tags=6, bands=24, **SMALL)
    network = MusiCNN(6, 187, 24, timbre_filters=3, rhythm_filters=2, middle=4, units=5)
    network.load_state_dict(state_dict(arrays, "here"))
    x = np.abs(np.random.default_rng(1).normal(size=(1, 30, 24))).astype(np.float32)
    with torch.no_grad():
        assert np.abs(network.eval()(torch.from_numpy(x)).numpy() - musicnn(arrays, x)["logits"]).max() > 0.01


REAL = {"tags": 50, "bands": 96, "timbre": 204, "rhythm": 51, "middle": 64, "units": 200}


def test_the_model_has_the_published_size_hears_as_published_and_saves_the_same_bytes(tmp_path):
    weights = registry.get("musicnn-mtt")
    for name in ("a", "b"):
        model(weights, musicnn_arrays(**REAL), "here").save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    saved = SavedModel.load(tmp_path / "a")
    assert count_parameters(saved.build()) == 787_159
    assert saved.tags == weights.tags
    assert saved.training["licence"] == "ISC"
    predictor = predict.Predictor(saved)
    assert predictor.listener.transform.compression == "log10p"
    assert (predictor.listener.transform.n_frames, predictor.listener.transform.n_dims) == (187, 96)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dense/bias": None}, "here must hold musicnn's weights, but has no dense/bias: another network"),
        ({"vgg/kernel": np.zeros(3)}, "musicnn's weights and nothing else, but has vgg/kernel"),
        ({"dense/kernel": np.zeros((3, 3, 3))}, r"dense/kernel must have 2 axes, got \(3, 3, 3\)"),
        (
            {"dense/kernel": np.zeros((1506, 100))},
            r"here must hold musicnn's weights, but dense\.2\.weight has the shape \(100, 1506\), not \(200, 1506\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused(change, told):
    arrays = {name: array for name, array in (musicnn_arrays(**REAL) | change).items() if array is not None}
    with pytest.raises(EarmarkError, match=told):
        model(registry.get("musicnn-mtt"), arrays, "here")


# --- with the real weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder of both converted weights."""
    there = ROOT / "data/weights"
    if all(registry.place(there, name).is_file() for name in registry.WEIGHTS):
        return there
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"PIP_DEFAULT_TIMEOUT": "5", "PIP_RETRIES": "0"}.items():
            patch.setenv(key, value)
        try:
            wheel = fetch(registry.get("musicnn-mtt").package, folder)
        except EarmarkError as error:
            pytest.skip(f"no data/weights, and no registry of packages can be reached: {error}")
    for name in registry.WEIGHTS:
        convert(name, folder, wheel)
    return folder


def clip(name):
    file = CLIPS / f"musicnn_{name}.mp3"
    if not file.is_file():
        pytest.skip(f"{file} is not there: a clip of the package, which this project does not distribute")
    return file


@pytest.mark.parametrize(
    ("name", "song", "tags"),
    [
        (
            "musicnn-mtt",
            "joram",
            ["techno", "electronic", "synth", "fast", "beat", "drums", "no vocals", "no vocal", "dance", "ambient"],
        ),
        ("musicnn-mtt", "trw", ["guitar", "piano", "fast"]),
        ("musicnn-msd", "trw", ["blues", "rock", "folk", "instrumental"]),  # by another port of the network
    ],
)
def test_the_tags_are_those_that_the_package_prints_in_their_order(weights, name, song, tags):
    found = predict.load(registry.place(weights, name)).predict(clip(song))
    assert [row["tag"] for row in found.as_dict()["tags"]][: len(tags)] == tags


def signal(folder: Path) -> Path:
    """Twelve seconds of the project's golden signal, as a file."""
    import soundfile as sf

    spec = importlib.util.spec_from_file_location("make_signal", ROOT / "tests/golden/make_signal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sf.write(folder / "signal.wav", module.signal()[:192_000].astype(np.float32), 16_000, subtype="FLOAT")
    return folder / "signal.wav"


def test_activations_and_tags_of_a_signal_are_the_golden_ones(weights, tmp_path):
    predictor, golden = predict.load(registry.place(weights, "musicnn-mtt")), np.load(GOLDEN)
    file = signal(tmp_path)
    assert golden["penultimate"].shape == (200,)
    assert golden["tags"].shape == (50,)
    np.testing.assert_allclose(predictor.embed(file), golden["penultimate"], atol=2e-4)
    np.testing.assert_allclose(predictor.predict(file).probabilities, golden["tags"], atol=2e-5)


if __name__ == "__main__":  # with the weights in data/weights
    import tempfile

    mtt = predict.load(ROOT / "data/weights/musicnn-mtt.safetensors")
    with tempfile.TemporaryDirectory() as folder:
        heard = signal(Path(folder))
        tags = mtt.predict(heard).probabilities.astype(np.float32)
        np.savez(GOLDEN, penultimate=mtt.embed(heard), tags=tags)
