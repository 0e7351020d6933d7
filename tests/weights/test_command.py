"""``earmark weights`` writes a file that ``earmark predict`` takes by its name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import soundfile as sf
from helpers.checkpoints import musicnn_arrays, write_checkpoint
from helpers.music import tone

import earmark
from earmark.cli import main
from earmark.models.saved import ModelError
from earmark.weights import registry

NAME = "musicnn-mtt"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Drawn weights in place of the published ones, which the registry then knows by their digests."""
    arrays = musicnn_arrays(tags=50, bands=96, timbre=204, rhythm=51, middle=64, units=200)
    folder = write_checkpoint(tmp_path / "musicnn/MTT_musicnn", arrays)
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    monkeypatch.setitem(registry.WEIGHTS, NAME, replace(registry.get(NAME), digests=digests))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_weights_are_converted_to_the_same_bytes_and_predict_takes_them_by_name(source, capsys):
    assert main(["weights", NAME, "--from", str(source)]) == 0
    assert capsys.readouterr().out.startswith(f"data/weights/{NAME}.safetensors: 3.2 MB, Pons and Serra 2019")
    assert main(["weights", NAME, "--from", str(source), "--to", "again"]) == 0
    file = source / f"data/weights/{NAME}.safetensors"
    assert (source / f"again/{NAME}.safetensors").read_bytes() == file.read_bytes()
    sf.write("a.wav", tone(7.3, 440), 16_000)
    capsys.readouterr()
    shown = []
    for name in (NAME, f"again/{NAME}.safetensors"):  # without a params.yaml
        assert main(["predict", "a.wav", "--model", name, "--json"]) == 0
        said = capsys.readouterr()
        assert not said.err  # of no code that has changed since a training
        shown += json.loads(said.out)
    assert shown[0] == shown[1]
    assert shown[0]["segments"] == 2  # of 187 frames; 1.3 s are left over
    assert {row["tag"] for row in shown[0]["tags"]} == set(registry.MAGNATAGATUNE_TAGS)


def test_load_takes_the_name_of_weights_and_says_how_to_get_them(source):
    with pytest.raises(ModelError, match=rf"weights/{NAME}\.safetensors does not exist; run `earmark weights {NAME}"):
        earmark.load(NAME)
    main(["weights", NAME, "--from", str(source)])
    assert earmark.load(NAME).tags == earmark.load(f"data/weights/{NAME}.safetensors").tags


@pytest.mark.usefixtures("source")
def test_weights_that_are_not_there_are_told_with_the_command_that_brings_them(capsys):
    for name, file in ((NAME, f"data/weights/{NAME}.safetensors"), (f"x/{NAME}.safetensors",) * 2):
        with pytest.raises(SystemExit):
            main(["predict", "a.wav", "--model", name])
        folder = file.rpartition("/")[0]
        assert f"{file} does not exist; run `earmark weights {NAME} --to {folder}`" in capsys.readouterr().err


def test_without_a_name_they_are_listed_and_an_unknown_one_is_refused_before_any_is_written(source, capsys):
    assert main(["weights"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[2:]] == list(registry.WEIGHTS)
    with pytest.raises(SystemExit):
        main(["weights", NAME, "vgg", "--from", str(source)])
    assert "weights must be one of musicnn-mtt, musicnn-msd, got 'vgg'" in capsys.readouterr().err
    assert not (source / "data").exists()
