"""Every system on the configured corpus: what is written, what is not done twice."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
import yaml
from small_data import RATE, fill

from earmark import systems
from earmark.cli import main
from earmark.systems import Input


@pytest.fixture
def place(tmp_path, make_corpus, monkeypatch):
    """Clips of 2 s, and systems that take them."""
    small = {
        "mel-2d-cnn": {"representation": Input("mel", 16_000, 30_000, {"n_mels": 48})},
        "musicnn": {
            "representation": Input("mel", 12_000, 20_000, {"n_mels": 48}), "frames": 20, "dims": 48, "segments": 3,
        },
    }  # fmt: skip
    rows = {name: dataclasses.replace(systems.SYSTEMS[name], **changes) for name, changes in small.items()}
    monkeypatch.setattr(systems, "SYSTEMS", systems.SYSTEMS | rows)
    return fill(tmp_path, *make_corpus())


def papers(place, *names):
    folders = ["--data", str(place.data), "--metrics", str(place.folder / "metrics/papers")]
    return main(["papers", *names, "--params", str(place.params), "--minutes", "0.02", *folders])


def test_systems_at_any_rate_and_on_pieces_are_trained_measured_and_not_trained_twice(place, capsys):
    for name in ("mel-2d-cnn", "musicnn", "mirex-5l-512h-lstm"):
        assert papers(place, name) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["mel-2d-cnn", "musicnn", "mirex-5l-512h-lstm"]
    assert "left out, params.yaml has no crossvalidations of it" in lines[2]
    written = json.loads((place.folder / "metrics/papers/tones/musicnn.json").read_text())
    assert written["corpus"] == "tones"
    assert written["budget_minutes"] == 0.02
    assert written["training"]["epochs"] >= 1
    assert (written["training"]["excerpt_frames"], written["training"]["excerpts"]) == (20, 3)
    assert 0 <= written["test"]["roc_auc"]["macro"] <= 1
    assert papers(place, "musicnn") == 0
    assert "done before" in capsys.readouterr().out


def test_exclusive_classes_are_cross_validated_as_params_configure_them(tmp_path, make_corpus, monkeypatch, capsys):
    short = dataclasses.replace(systems.SYSTEMS["mirex-5l-512h-lstm"], representation=Input("mel", RATE, 28_000))
    monkeypatch.setattr(systems, "SYSTEMS", systems.SYSTEMS | {short.name: short})
    place = fill(tmp_path, *make_corpus(songs=12, where=tmp_path))
    content = yaml.safe_load(place.params.read_text())
    entry = {"representation": "mel", "model": "recurrent", "system": short.name, "classes": ["high", "low"]}
    content["crossvalidations"] = {"pitch": entry, "other": {**entry, "system": "scat-5l-512h-gru"}}
    place.params.write_text(yaml.safe_dump(content))
    assert papers(place, short.name) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("mirex-5l-512h-lstm@pitch: accuracy ")
    written = json.loads((place.folder / "metrics/papers/tones/mirex-5l-512h-lstm@pitch.json").read_text())
    assert (written["corpus"], written["rule"], written["budget_minutes"]) == ("tones", "demo", 0.02)
    assert written["training"]["folds"] == 3
    assert written["training"]["epochs"] >= 3
    assert set(written["recall"]) == {"high", "low"}
    predicted = (place.data / "papers/scores/mirex-5l-512h-lstm@pitch.csv").read_text().splitlines()
    assert predicted[0] == "clip_id,fold,actual,predicted"
    assert len(predicted) == 1 + written["clips"]
    assert papers(place, short.name) == 0
    assert "done before" in capsys.readouterr().out


def test_an_unknown_system_is_named_before_any_is_trained(place, capsys):
    with pytest.raises(SystemExit):
        papers(place, "linear", "mel-2d-cn")
    shown = capsys.readouterr()
    assert "got 'mel-2d-cn': close to mel-2d-cnn" in shown.err
    assert not shown.out


def test_several_systems_have_a_process_each_and_one_that_fails_does_not_stop_the_next(place, capfd):
    """Clips of 2 s are padded to the 29 s that these take; a file in the place of a folder fails the first."""
    broken = place.data / "papers/standardize"
    broken.parent.mkdir(parents=True)
    broken.write_text("a file where a folder must be")
    assert papers(place, "linear", "mirex-5l-512h-lstm") == 1
    shown = capfd.readouterr()
    assert "mirex-5l-512h-lstm: left out" in shown.out
    broken.unlink()
    assert papers(place, "linear", "mirex-5l-512h-lstm") == 0
    assert [line.split(":")[0] for line in capfd.readouterr().out.splitlines()] == ["linear", "mirex-5l-512h-lstm"]
    assert (place.folder / "metrics/papers/tones/linear.json").is_file()


def test_a_system_whose_process_is_killed_is_named(place, capsys, monkeypatch):
    ended = iter([-9, 0])
    monkeypatch.setattr("earmark.cli.subprocess.run", lambda *_, **__: SimpleNamespace(returncode=next(ended)))
    assert papers(place, "sample-cnn-song", "linear") == 9
    assert capsys.readouterr().err == "sample-cnn-song: killed by signal 9, of lack of memory perhaps\n"


@pytest.mark.parametrize("missing", ["data/labels/labels.csv", "metrics/labels.json"])
def test_without_labels_the_stages_that_make_them_are_named_once(place, capsys, missing):
    (place.folder / missing).unlink()
    for names in (("linear",), ("linear", "mel-2d-cnn")):
        with pytest.raises(SystemExit):
            papers(place, *names)
        shown = capsys.readouterr()
        told = f"error: {place.folder / missing} does not exist; run `dvc repro labels decode` first\n"
        assert (shown.out, shown.err) == ("", told)
