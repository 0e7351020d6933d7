"""What `earmark doctor` prints as a whole, and with which exit code it ends."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from helpers import ROOT
from helpers.small_data import fill

from earmark.cli import main
from earmark.doctor import command, machine
from earmark.doctor.lines import Line


@pytest.fixture(autouse=True)
def looked_at_once(monkeypatch):
    """The packages take a second, and are the same for every project."""
    monkeypatch.setattr(machine, "packages", lambda: iter([Line("packages", "ok", "all are there")]))


def project(folder, **sections):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content |= {"representations": {}, "experiments": {}} | sections
    content["labels"]["top50"]["synonyms"] = str(ROOT / content["labels"]["top50"]["synonyms"])
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def said(capsys, *words):
    """The exit code and the lines by name."""
    code = main(["doctor", "--json", *map(str, words)])
    found = json.loads(capsys.readouterr().out)
    assert found["stops"] is bool(code)
    return code, {line["name"]: line for line in found["lines"]}


def test_every_thing_has_a_line_with_its_state(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(words, check=True)
    project(tmp_path)
    code, lines = said(capsys)
    assert code == 0
    assert set(lines) == {
        "python", "packages", "torch", "device", "decoder", "workers", "settings", "git", "lock of DVC", "DVC cache",
        "DVC remote", "disk",
    }  # fmt: skip
    assert "EARMARK_DEVICE" in lines["device"]["text"]
    assert "libsndfile" in lines["decoder"]["text"]
    assert lines["settings"] == {"name": "settings", "state": "ok", "text": "params.yaml can be used", "mend": ""}
    main(["doctor"])
    shown = capsys.readouterr().out
    assert "ok       settings          params.yaml can be used" in shown


def test_outside_of_a_project_there_is_a_warning_and_no_failure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, lines = said(capsys)
    assert code == 0
    assert lines["settings"]["state"] == "warning"
    assert lines["settings"]["text"].startswith("params.yaml does not exist: no project here")


def test_settings_that_cannot_be_used_stop_the_pipeline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("corpus: [")
    code, lines = said(capsys)
    assert code == 1
    assert lines["settings"]["state"] == "error"
    assert lines["settings"]["text"].startswith("params.yaml is not valid YAML")
    assert "disk" not in lines


@pytest.mark.parametrize("section", command.ITERATED)
def test_a_section_that_only_dvc_would_miss_is_named(tmp_path, capsys, section):
    code, lines = said(capsys, "--params", project(tmp_path, **{section: None}))
    assert code == 1
    assert f"key {section} is missing, and dvc.yaml needs it: write `{section}: {{}}`" in lines["settings"]["text"]


@pytest.mark.parametrize(("variable", "name"), [("EARMARK_DEVICE", "device"), ("EARMARK_WORKERS", "workers")])
def test_a_variable_that_cannot_be_is_one_error_and_the_rest_is_still_looked_at(
    tmp_path, capsys, monkeypatch, variable, name
):
    monkeypatch.setenv(variable, "gpu")
    code, lines = said(capsys, "--params", project(tmp_path))
    assert code == 1
    (wrong,) = [line for line in lines.values() if line["state"] == "error"]
    assert wrong["text"].startswith(f"{variable} must be")
    assert wrong["name"] in (name, "decoder")
    assert "settings" in lines


def test_a_project_whose_pipeline_has_run_has_its_shards_looked_at(tmp_path, make_corpus, capsys, monkeypatch):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    place = fill(tmp_path, *make_corpus())
    place.add("encoders")
    place.add("crossvalidations")
    capsys.readouterr()
    code, lines = said(capsys, "--params", place.params, "--data", place.data)
    assert code == 0
    assert lines["shards"]["text"] == "mel: 4 of 4 shards are up to date"
    assert "12 clips need 0.0 GB more" in lines["disk"]["text"]
