"""The file of a model is deterministic, needs no other file, and is refused if anything in it has changed."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.features import representation
from helpers.small_data import CNN, fill
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from earmark.config import WaveformConfig
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.metrics import macro_roc_auc
from earmark.features import dataset
from earmark.features.standardize import Standardizer
from earmark.models import networks, saved
from earmark.models.histogram_boosting import HistogramBoosting
from earmark.models.saved import FILE, ModelError, SavedModel
from earmark.systems import published
from earmark.training.tagger import BestWeights


def model(**changes) -> SavedModel:
    torch.manual_seed(0)
    network = published.build("mel-2d-cnn", 3, 64, 48)
    made = SavedModel(
        experiment="cnn",
        network={"family": "convolutional", "options": {}},
        frames=64,
        dims=48,
        network_frames=64,
        representation=representation({"kind": "mel", "rate": 16_000, "samples": 16_000, "n_mels": 48}),
        waveform=WaveformConfig(samples=16_000),
        tags=("b", "a", "é"),
        thresholds=(0.1, None, 1 / 3),
        standardizer=Standardizer(np.linspace(-1, 1, 48, dtype=np.float32), np.full(48, 0.3, np.float32), 17),
        exclusive=False,
        training={"epochs": 3, "best_epoch": 1, "excerpt_frames": 64, "excerpts": 1, "valid_roc_auc": 0.7},
        code={"train": "0" * 64, "features": "1" * 64},
        makers={"torch": "2", "device": "cpu"},
        weights=network.state_dict(),
    )
    return replace(made, **changes)


@pytest.fixture
def file(tmp_path):
    model().save(tmp_path / FILE)
    return tmp_path / FILE


def test_a_saved_model_is_the_same_and_scores_as_the_one_in_memory(file):
    made, again = model(), SavedModel.load(file)
    for name in SavedModel.__dataclass_fields__:
        if name not in ("standardizer", "weights"):
            assert getattr(again, name) == getattr(made, name), name
    np.testing.assert_array_equal(again.standardizer.mean, made.standardizer.mean)
    np.testing.assert_array_equal(again.standardizer.inverse_std, made.standardizer.inverse_std)
    assert again.standardizer.clips == 17
    features = torch.randn(5, 64, 48)
    network = published.build("mel-2d-cnn", 3, 64, 48)
    network.load_state_dict(dict(made.weights))
    np.testing.assert_array_equal(scoring.score_saved(again, features), scoring.score(network.eval(), features))


def test_a_network_that_was_grown_in_fitting_is_saved_and_scores_as_the_one_in_memory(tmp_path):
    network, targets = HistogramBoosting(3, 64, 48, iterations=4, min_samples_leaf=5), torch.eye(3).repeat(20, 1)
    features = torch.randn(60, 64, 48) + targets.argmax(1).view(-1, 1, 1)
    network.fit((features, targets), (features, targets), lambda *_: 0.5)
    built = {"family": "histogram_boosting", "options": {"iterations": 4, "min_samples_leaf": 5}}
    model(network=built, weights=network.state_dict()).save(tmp_path / FILE)
    scores = scoring.score_saved(SavedModel.load(tmp_path / FILE), features)
    assert macro_roc_auc(scores, targets.numpy()) > 0.9
    np.testing.assert_array_equal(scores, scoring.score(network, features))


def test_a_model_does_not_need_the_table_of_systems(file, monkeypatch):
    monkeypatch.setattr(published, "SYSTEMS", {})
    assert scoring.score_saved(SavedModel.load(file), torch.randn(2, 64, 48)).shape == (2, 3)


def test_the_same_model_gives_the_same_bytes(tmp_path, file):
    for number in range(5):
        path = tmp_path / str(number) / FILE
        model().save(path)
        assert path.read_bytes() == file.read_bytes()
        assert [p.name for p in path.parent.iterdir()] == [FILE]
    SavedModel.load(file).save(tmp_path / "again" / FILE)
    assert (tmp_path / "again" / FILE).read_bytes() == file.read_bytes()


def test_weights_and_moments_are_plain_tensors_to_any_reader_of_the_format(file):
    with safe_open(file, framework="np") as content:
        assert set(content.metadata()) == {"earmark"}
        assert {"standardizer.mean", "standardizer.inverse_std"} <= set(content.keys())
        np.testing.assert_array_equal(content.get_tensor("standardizer.mean"), model().standardizer.mean)


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(EarmarkError) as caught:
        SavedModel.load(path)
    assert str(path) in str(caught.value)
    assert "train it again" in str(caught.value)


def test_any_flipped_bit_is_noticed(tmp_path, file):
    """Every bit of the header's first kilobyte and of its end, and others drawn from the whole file."""
    whole = file.read_bytes()
    size = 8 + int.from_bytes(whole[:8], "little")
    drawn = random.Random(2018)
    bits = [*range(8 * 60), *range(8 * (size - 40), 8 * size)]
    escaped = whole.index(b"u00e9") + 3  # E is the same figure: only the text of the JSON tells it from e
    bits += range(8 * escaped, 8 * escaped + 8)
    bits += [drawn.randrange(8 * size) for _ in range(1500)] + [drawn.randrange(8 * len(whole)) for _ in range(150)]
    for bit in bits:
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        refused(tmp_path / "flipped", bytes(content))


def test_a_file_that_is_cut_short_longer_or_another_is_refused(tmp_path, file):
    whole = file.read_bytes()
    for length in (0, 1, 7, 8, 9, 500, len(whole) // 2, len(whole) - 1):
        refused(tmp_path / "cut", whole[:length])
    refused(tmp_path / "longer", whole + b"\0")
    refused(tmp_path / "letter", b"a letter" * 1000)
    refused(tmp_path / "plain", to_bytes({"a": torch.zeros(3)}))
    refused(tmp_path / "of others", to_bytes({"a": torch.zeros(3)}, {"earmark": "[]"}))
    refused(tmp_path / "of nobody", to_bytes({"a": torch.zeros(3)}, {"earmark": "{}"}))
    torch.save({"a": torch.zeros(3)}, tmp_path / "pickle")
    refused(tmp_path / "pickle", (tmp_path / "pickle").read_bytes())


def test_a_model_that_is_absent_says_how_to_get_it(tmp_path):
    with pytest.raises(ModelError, match=r"models/cnn/model\.safetensors does not exist; run `dvc repro train@cnn`"):
        SavedModel.load(tmp_path / "models/cnn" / FILE)
    with pytest.raises(ModelError, match="run `dvc repro train@cnn`"):
        SavedModel.load(tmp_path / "models/cnn/seed-2" / FILE)
    with pytest.raises(ModelError, match="run `dvc repro`, or `dvc pull` it"):
        SavedModel.load(tmp_path / "elsewhere" / FILE)


def test_a_model_of_another_format_is_refused_by_its_number(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(saved, "FORMAT", 1)
        model().save(tmp_path / FILE)
    with pytest.raises(ModelError, match="has format 1, and this version of earmark reads 3; train it again"):
        SavedModel.load(tmp_path / FILE)


def test_a_right_checksum_does_not_make_up_for_what_is_missing(tmp_path, file):
    for key, value in (("tags", None), ("waveform", None), ("waveform", {"samples": -3}), ("representation", {})):
        text, tensors = content_of(file)
        del text[key]
        if value is not None:
            text[key] = value
        text["checksum"] = saved._checksum(text, tensors)
        refused(tmp_path / "other", to_bytes(tensors, {"earmark": saved._canonical(text)}))


def content_of(file):
    """The JSON of a model, and its tensors."""
    with safe_open(file, framework="pt") as content:
        return json.loads(content.metadata()["earmark"]), {k: content.get_tensor(k) for k in content.keys()}  # noqa: SIM118


def test_a_network_that_the_code_no_longer_builds_is_named():
    with pytest.raises(ModelError, match=r"the model of 'cnn' does not fit the code of its family 'convolutional'"):
        model(network_frames=200).build()
    with pytest.raises(ModelError, match="'gone'"):
        model(network={"family": "gone", "options": {}}).build()


@pytest.mark.parametrize("units", [6_000, 10**6])
def test_a_network_that_is_larger_than_its_file_takes_no_memory(monkeypatch, units):
    options, made = {"cell": "gru", "layers": 1, "units": units}, []
    network = networks.network
    monkeypatch.setattr(networks, "network", lambda *given: made.append(network(*given)) or made[-1])
    with pytest.raises(ModelError, match=r"'recurrent', which has changed since \(it has [\d,]+ values, and the file "):
        model(network={"family": "recurrent", "options": options}).build()
    assert {weights.device.type for one in made for weights in one.parameters()} == {"meta"}


def test_a_network_of_ones_own_whose_layers_get_their_size_from_the_first_batch_is_built(monkeypatch):
    monkeypatch.setattr(networks, "network", lambda *_: nn.Sequential(nn.Flatten(), nn.LazyLinear(2)))
    trained = networks.network()
    trained(torch.ones(1, 3, 4))
    built = model(weights=trained.state_dict()).build()
    torch.testing.assert_close(built(torch.ones(1, 3, 4)), trained(torch.ones(1, 3, 4)))


def test_training_the_same_twice_gives_the_same_folder_byte_by_byte(tmp_path, make_corpus):
    place = fill(tmp_path, *make_corpus(), n_mels=48)
    place.add("experiments", cnn=CNN)
    for name, files in (("linear", {"curves.csv", FILE}), ("cnn", {"curves.csv", FILE})):
        first, second = (place.train(name, tmp_path / turn / name) for turn in ("first", "second"))
        assert {path.name for path in first.iterdir()} == files
        for path in first.iterdir():
            assert path.read_bytes() == (second / path.name).read_bytes(), path.name
    kept = SavedModel.load(first / FILE)
    assert kept.tags == ("high", "low", "loud")
    assert kept.representation == dataset.origin(place.inputs[0]).representation
    assert kept.waveform == WaveformConfig(samples=30_000)
    assert content_of(first / FILE)[0]["waveform"] == {
        "rate": 16_000, "samples": 30_000, "policy": "pad", "segments": None, "dtype": "int16", "min_seconds": 1.0,
        "incomplete": "warn",
    }  # fmt: skip
    assert kept.training["parameters"] == networks.count_parameters(kept.build())


@pytest.mark.parametrize(
    "where", ["training.fit.saved_model", "training.fit.write_csv", "models.saved.write_bytes", "training.fit.forget"]
)
def test_a_stage_that_is_killed_after_training_only_saves_when_it_runs_again(tmp_path, make_corpus, monkeypatch, where):
    place = fill(tmp_path, *make_corpus(), n_mels=48)
    place.add("experiments", cnn=CNN)
    first = place.train("cnn", tmp_path / "first")
    begun, begin = [], BestWeights.on_train_epoch_start

    def watched(best, trainer, module):
        begun.append(trainer.current_epoch)
        begin(best, trainer, module)

    def killed(*_, **__):
        raise RuntimeError("killed")

    monkeypatch.setattr(BestWeights, "on_train_epoch_start", watched)
    with monkeypatch.context() as patch:
        patch.setattr(f"earmark.{where}", killed)
        with pytest.raises(RuntimeError, match="killed"):
            place.train("cnn", tmp_path / "second")
    assert begun == [0, 1]
    begun.clear()
    second = place.train("cnn", tmp_path / "second")
    assert begun == []
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }
    assert not (place.data / "checkpoints/cnn").exists()


def test_features_of_other_settings_than_those_of_params_yaml_are_refused(tmp_path, make_corpus):
    place = fill(tmp_path, *make_corpus())
    before = place.params.read_text()
    place.add("representations", mel={"kind": "mel", "rate": 16_000, "samples": 28_000, "n_mels": 24, "hop": 128})
    with pytest.raises(EarmarkError, match=r"representations\.mel\.hop is 128, but .*features/mel was made with 256"):
        place.train("linear", tmp_path / "out")
    place.params.write_text(before)
    place.add("waveforms", **{"16000": {"samples": 30_000, "policy": "center"}})
    with pytest.raises(
        EarmarkError, match=r"waveforms\.16000\.policy is 'center', but .* was made with 'pad'; run `dvc"
    ):
        place.train("linear", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(tmp_path, file, value):
    text, tensors = content_of(file)
    name = next(name for name in tensors if name.startswith("network.") and tensors[name].is_floating_point())
    tensors[name].view(-1)[0] = value
    told = rf"1 of the \d+ values of {name} are NaN or infinite"
    bad = {key.removeprefix("network."): value for key, value in tensors.items() if key.startswith("network.")}
    with pytest.raises(ModelError, match=told):
        model(weights=bad).save(tmp_path / "bad" / FILE)
    assert not (tmp_path / "bad").exists()
    text["checksum"] = saved._checksum(text, tensors)
    (tmp_path / FILE).write_bytes(to_bytes(tensors, {"earmark": saved._canonical(text)}))
    with pytest.raises(ModelError, match=told):
        SavedModel.load(tmp_path / FILE)
