"""The command `earmark`: what its subcommands print, and with which exit code they end."""

from __future__ import annotations

import io
import os
import shutil
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
    assert main(["doctor", "--params", "absent.yaml"]) == 1
    assert f"EARMARK_WORKERS must be a whole number of at least 1, got {value!r}" in capsys.readouterr().out


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


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["bench", "--help"]])
def test_help_comes_before_anything_heavy_is_imported(arguments):
    """What `earmark bench start` measures: only the standard library and a few small modules of this package."""
    code = (
        "import sys; before = set(sys.modules); from earmark.cli import main\n"
        f"try: main({arguments})\nexcept SystemExit: print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "earmark.cli" in loaded
    foreign = {name.partition(".")[0] for name in loaded} - {"earmark"} - sys.stdlib_module_names
    assert not foreign
    assert not {"importlib.metadata", "earmark.config", "earmark.progress", "earmark.systems"} & set(loaded)


def test_predict_begins_without_what_it_does_not_need():
    heavy = "{'sklearn', 'pytorch_lightning', 'matplotlib', 'dvc', 'librosa', 'kymatio', 'scipy.stats'}"
    code = f"import sys, earmark.predict_files; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_can_complete_every_command_and_the_names_of_files(capsys, shell):
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert "--threshold" in printed
    assert "crossvalidate" in printed
    assert {"bash": "_shtab_compgen_files", "zsh": "_files"}[shell] in printed
    checker = shutil.which(shell)
    if checker is not None:
        subprocess.run([checker, "-n"], input=printed, text=True, check=True)
