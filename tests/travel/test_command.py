"""`earmark bundle` and `earmark export` take an experiment, or the folder of a trained one."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
from helpers.music import write_songs
from helpers.small_data import fill

from earmark.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    filled = fill(folder, *write_songs(folder))
    written = filled.evaluate("linear")
    for name, file in (("experiments", written.metrics), ("details", written.details)):
        (folder / "metrics" / name).mkdir(parents=True)
        shutil.copy(file, folder / "metrics" / name / "linear.json")
    return filled


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A folder with nothing but a copy of the model."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place.data / "models/linear", tmp_path / "kept/mine")
    return tmp_path


def known(place):
    return ["--params", str(place.params), "--data", str(place.data)]


def about(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("bundle.json"))


def test_the_folder_of_an_experiment_gives_the_bundle_of_the_experiment(place, here, monkeypatch):
    assert main(["bundle", "linear", "-o", str(here / "name.earmark"), *known(place)]) == 0
    monkeypatch.chdir(place.folder)
    assert main(["bundle", "data/models/linear/", "-o", str(here / "folder.earmark"), *known(place)]) == 0
    assert (here / "name.earmark").read_bytes() == (here / "folder.earmark").read_bytes()
    assert about(here / "name.earmark")["about"]["test"]["roc_auc"] > 0


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("with_params", [True, False])
def test_a_folder_from_elsewhere_is_bundled_without_a_corpus_and_figures(place, capsys, with_params):
    options = known(place) if with_params else []
    assert main(["bundle", "kept/mine", "-o", "x.earmark", *options]) == 0
    assert "1 model of linear, 3 tags" in capsys.readouterr().out
    told = about("x.earmark")
    assert (told["about"]["corpus"], told["about"]["test"]) == ("not stated", {})
    assert main(["predict", "--model", "x.earmark", str(sorted(place.audio.rglob("*.mp3"))[0])]) == 0


def test_a_folder_is_exported(place, here, capsys):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    assert main(["export", "kept/mine", "--onnx", "x.onnx"]) == 0
    assert "x.onnx: ONNX" in capsys.readouterr().out
    assert main(["export", "linear", "--onnx", "y.onnx", *known(place)]) == 0
    assert (here / "x.onnx").read_bytes() == (here / "y.onnx").read_bytes()


@pytest.mark.parametrize("command", [["bundle", "-o", "x.earmark"], ["export", "--onnx", "x.onnx"]])
def test_what_is_no_model_is_named(place, here, capsys, command):
    (here / "kept/none").mkdir()
    for what, told in (
        ("kept/none", "kept/none/model.safetensors does not exist"),
        ("kept/nowhere", "there is no experiment 'kept/nowhere'; there are linear"),
    ):
        with pytest.raises(SystemExit):
            main([*command, what, *known(place)])
        assert told in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["kept"]
