"""`earmark probe`: the layer that hears the tags is found on the validation split, and what is refused."""

from __future__ import annotations

import csv

import pytest
from helpers.sealed import sealed, unsealed

from earmark.cli import main
from earmark.probe import embeddings
from earmark.probe.run import Probe


def probe(place, *arguments):
    return main(["probe", "mine", "--params", str(place.params), "--data", str(place.data), *map(str, arguments)])


def told(capsys, place, *arguments, name="mine"):
    """What a command says that ends on an error."""
    with pytest.raises(SystemExit) as stop:
        main(["probe", name, "--params", str(place.params), "--data", str(place.data), *map(str, arguments)])
    assert stop.value.code == 1
    return capsys.readouterr().err.removeprefix("error: ").strip()


def test_the_layer_that_hears_the_tags_is_the_best_and_a_second_run_computes_nothing(place, capsys, monkeypatch):
    assert probe(place, "--csv", place.folder / "rows.csv") == 0
    shown = capsys.readouterr().out
    spectrum, nothing = csv.DictReader((place.folder / "rows.csv").read_text().splitlines())
    assert [spectrum[key] for key in ("layer", "frames", "dims", "valid_roc_auc", "best")] == [
        "spectrum", "7", "16", "1.0", "1"
    ]  # fmt: skip
    assert [nothing[key] for key in ("layer", "frames", "dims", "valid_roc_auc", "best")] == [
        "nothing", "7", "2", "0.5", "0"
    ]  # fmt: skip
    assert "linear on top3: 2 clips of 1 songs, the validation split" in shown
    assert "The test split was not looked at." in shown
    assert "encoders.mine in params.yaml takes the best one by `layer: spectrum`" in shown
    monkeypatch.setattr(embeddings, "_Pass", None)  # whatever computes anything fails
    monkeypatch.setattr("earmark.probe.run.fit", None)
    assert probe(place) == 0
    assert capsys.readouterr().out == shown


def test_labels_of_the_test_split_do_not_matter(place):
    settings = place.config, "mine", None, "linear", place.data
    found = Probe.open(*settings).run()
    file = place.data / "labels/top3/labels.csv"
    lines = unsealed(file).splitlines()
    assert any(",test," in line for line in lines)
    changed = [line[:-5] + "1,1,1" if ",test," in line else line for line in lines]
    sealed(file, "\n".join(changed) + "\n")
    assert Probe.open(*settings).run().rows == found.rows


def test_layers_can_be_named_and_one_alone_has_its_row_and_no_best(place, capsys):
    assert probe(place, "--layers", "nothing", "--markdown", "--model", "histogram_boosting") == 0
    shown = capsys.readouterr().out
    assert "| nothing |      7 |    2 |             0.5000 |" in shown
    assert "- histogram_boosting on top3: " in shown
    assert "takes the best one" not in shown
    assert not (place.data / "probes/mine/spectrum").exists()


def test_other_labels_are_measured_on_the_embeddings_that_are_there(place, monkeypatch):
    settings = place.config, "mine", None, "linear", place.data
    assert Probe.open(*settings).run(["spectrum"]).best.roc_auc == 1
    file = place.data / "labels/top3/labels.csv"
    swapped = str.maketrans("01", "10")
    lines = [row[:-5] + row[-5:].translate(swapped) if ",valid," in row else row for row in unsealed(file).splitlines()]
    sealed(file, "\n".join(lines) + "\n")
    monkeypatch.setattr(embeddings, "_Pass", None)
    assert Probe.open(*settings).run(["spectrum"]).best.roc_auc == 0


def test_what_cannot_be_probed_is_refused_with_what_there_is(place, capsys):
    assert told(capsys, place, name="mien") == "encoders of params.yaml has no 'mien': close to mine"
    assert told(capsys, place, name="mel").startswith("encoders of params.yaml has no 'mel': that is one of represent")
    assert "layer must be one of spectrum, nothing, the LAYERS of" in told(capsys, place, "--layers", "spectra")
    assert told(capsys, place, "--labels", "top4") == "labels of params.yaml has no 'top4': close to top3"
    assert told(capsys, place, "--model", "lienar").startswith(
        "--model must be one of attention_pool, attentive_branches, "
    )
    assert told(capsys, place, "--model", "mlp").startswith(
        "--model must fit itself, as linear and histogram_boosting do, got 'mlp': that is trained by a recipe"
    )
    (place.folder / "e.py").write_text("def encode(wave):\n    return wave[:4]\n")
    assert "e.py does not say which layers it has: `LAYERS" in told(capsys, place)
    assert told(capsys, place).endswith("; or name them by --layers")
    (place.data / "labels/top3/labels.csv").unlink()
    assert told(capsys, place).endswith("labels.csv does not exist; run `dvc repro labels decode` first")
