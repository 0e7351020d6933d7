"""The command `earmark`: what its subcommands print, and with which exit code they end."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
import soundfile as sf
import yaml
from helpers import ROOT
from helpers.music import tone
from helpers.small_data import fill

from earmark.cli import main
from earmark.decode import waveform_store
from earmark.decode.pool import workers


def test_doctor_names_the_device_and_the_versions(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "torch" in shown
    assert "EARMARK_DEVICE" in shown


def test_inspect_shows_the_file_and_every_representation_and_goes_on_after_a_broken_one(tmp_path, capsys):
    (tmp_path / "broken.mp3").write_bytes(b"")
    sf.write(tmp_path / "x.wav", tone(3, 440, 8000), 8000)
    files = [str(tmp_path / "broken.mp3"), str(tmp_path / "x.wav")]
    assert main(["inspect", "--params", str(ROOT / "params.yaml"), *files]) == 1
    shown = capsys.readouterr()
    assert "3.00 s, 8000 Hz, 1 channels, WAV" in shown.out
    assert "1813 frames x 96 dims" in shown.out
    assert "114 frames x 433 dims" in shown.out
    assert "broken.mp3" in shown.err


def ended(capsys, *arguments):
    """What a command says that ends on an error, without a traceback."""
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments)])
    assert stop.value.code in (1, 2)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [("inspect", "x.wav"), ("predict", "x.wav"), ("papers",), ("probe", "mine"), ("corpus", "check")]
)
def test_outside_of_a_project_a_command_says_what_to_name(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    told = ended(capsys, *command)
    assert told.startswith("error: params.yaml does not exist")
    assert "--params" in told or "--model" in told


def test_doctor_judges_the_settings_that_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    assert "settings          params.yaml does not exist: no project here" in capsys.readouterr().out
    assert main(["doctor", "--params", str(ROOT / "params.yaml")]) == 0
    assert "params.yaml can be used" in capsys.readouterr().out
    (tmp_path / "params.yaml").write_text("corpus: [")
    assert main(["doctor"]) == 1
    assert "settings          error: params.yaml is not valid YAML" in capsys.readouterr().out


def test_inspect_names_a_setting_that_cannot_be(tmp_path, capsys):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["representations"] = {"deep": {"kind": "cqt", "rate": 16000, "samples": 464000, "bins": 500}}
    content["experiments"] = {}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    assert "error: representations.deep.bins must" in ended(
        capsys, "inspect", "--params", tmp_path / "params.yaml", "x.wav"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("papers", "--minutes", "nan"), "--minutes: must be a number above 0, got 'nan'"),
        (("papers", "--minutes", "-1"), "--minutes: must be a number above 0, got '-1'"),
        (("bench", "mel", "--rounds", "0"), "--rounds: must be a whole number of at least 1, got '0'"),
        (("bench", "mel", "--batch", "x"), "--batch: must be a whole number of at least 1, got 'x'"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_option(capsys, arguments, told):
    assert told in ended(capsys, *arguments)


@pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5", "²"])
def test_workers_are_a_whole_number_of_at_least_1(monkeypatch, capsys, value):
    monkeypatch.setenv("EARMARK_WORKERS", value)
    assert ended(capsys, "doctor") == f"error: EARMARK_WORKERS must be a whole number of at least 1, got {value!r}\n"


def test_workers_are_as_many_as_asked_for(monkeypatch):
    monkeypatch.setenv("EARMARK_WORKERS", "3")
    assert workers() == 3
    monkeypatch.setenv("EARMARK_WORKERS", "")
    assert workers() >= 1


def test_a_file_whose_name_is_no_text_is_heard_and_told_with_escapes(tmp_path, monkeypatch):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content |= {"representations": {}, "experiments": {}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    odd, plain = tmp_path / os.fsdecode(b"\xff.wav"), tmp_path / "plain.wav"
    for path in (odd, plain):
        with path.open("wb") as file:
            sf.write(file, tone(1, 440), 16_000, format="WAV")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["inspect", "--params", str(tmp_path / "params.yaml"), str(odd), str(plain)]) == 0
    assert b"plain.wav: 1.00 s" in terminal.buffer.getvalue()
    assert b"\\udcff.wav: 1.00 s" in terminal.buffer.getvalue()


def test_waveforms_are_counted_and_those_that_no_index_names_are_pruned(tmp_path, make_corpus, capsys, monkeypatch):
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "store"))
    place = fill(tmp_path, *make_corpus())
    old = waveform_store.place(tmp_path / "store", "0" * 64)
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"of other settings")
    capsys.readouterr()

    def shown(*options):
        assert main(["waveforms", "--data", str(place.data), *options]) == 0
        return capsys.readouterr().out

    first = shown()
    assert f"{tmp_path / 'store'}: 5 shards, 0.0 GB (EARMARK_WAVEFORMS)" in first
    assert f"{place.data / 'waveforms/16000'}: 4 of 4 shards" in first
    assert "others: 1 shards" in first
    assert old.exists()
    assert "deleted 1 shards" in shown("--prune")
    assert not old.exists()
    assert "others: 0 shards" in shown()
    assert len(waveform_store.held(tmp_path / "store")) == 4


def test_doctor_says_which_device_is_not_there_and_goes_on(capsys, monkeypatch):
    monkeypatch.setenv("EARMARK_DEVICE", "gpu")
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "device            error: EARMARK_DEVICE must be cpu, cuda, cuda:N or mps, got 'gpu'" in shown
    assert "demo corpus" in shown


def test_the_command_line_is_parsed_before_anything_heavy_is_imported():
    heavy = "{'torch', 'numpy', 'pydantic', 'yaml', 'earmark.systems'}"
    code = (
        f"import sys; from earmark.cli import command_line; command_line(['add']); print(*{heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("section", ["encoders", "crossvalidations"])
def test_doctor_names_a_section_that_only_dvc_would_miss(tmp_path, capsys, section):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    del content[section]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    assert main(["doctor", "--params", str(tmp_path / "params.yaml")]) == 1
    assert f"key {section} is missing, and dvc.yaml needs it: write `{section}: {{}}`" in capsys.readouterr().out
