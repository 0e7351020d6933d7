"""`earmark embed` and `earmark similar`: what they print, write and refuse."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys

import h5py
import pytest
from helpers.music import tone, write_mp3

from earmark.cli import main


@pytest.fixture
def data(project, tmp_path):
    shutil.copytree(project.data, tmp_path / "data", ignore=shutil.ignore_patterns("waveforms"))
    return tmp_path / "data"


def places(project, data):
    return "--params", str(project.params), "--data", str(data)


def test_a_folder_is_embedded_and_what_is_left_out_is_told(project, tmp_path, capsys):
    shutil.copytree(project.audio, tmp_path / "m")
    (tmp_path / "m/cover.jpg").touch()
    command = ["embed", str(tmp_path / "m"), "--out", str(tmp_path / "x.h5"), *places(project, project.data)]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path / 'x.h5'}: 12 files by linear, 48 dims\n"
    assert shown.err == "left out, for their suffixes: .jpg (1: cover.jpg)\n"
    (tmp_path / "m/broken.mp3").write_bytes(b"")
    assert main([*command, "--dtype", "float32"]) == 1
    shown = capsys.readouterr()
    assert "12 files by linear, 48 dims; 12 of them were there already" in shown.out
    assert f"without an embedding: 1, see {tmp_path / 'x.h5'}.rejected.csv: empty file (0 bytes) (1)" in shown.err
    assert main([*command, "--model", "bands", "--per-segment", "--dtype", "float16"]) == 1
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["embedding"].dtype == "float16"
        assert file.attrs["model"] == "bands"
        assert "start" in file


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "x.csv"), "--out must end in one of .h5, .npz, .parquet, got 'x.csv'"),
        (
            ("--out", "x.h5", "--model", "nobody"),
            "--model must be one of experiments ['linear'], or a file or folder, got 'nobody'",
        ),
        (("--out", "x.h5", "--layer", "nothing"), "layer must be logits or one of "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_heard(project, tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["embed", str(project.audio), *places(project, project.data), *arguments])
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_music_is_refused(project, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["embed", str(tmp_path), "--out", str(tmp_path / "x.h5"), *places(project, project.data)])
    assert "no file there ends in .mp3, .wav" in capsys.readouterr().err


def test_similar_prints_what_sounds_alike(project, data, tmp_path, capsys):
    write_mp3(tmp_path / "high.mp3", tone(1.8, 2420))
    (tmp_path / "broken.wav").touch()
    command = ["similar", str(tmp_path / "high.mp3"), str(tmp_path / "broken.wav"), *places(project, data)]
    assert main([*command, "--top", "3", "--json"]) == 1
    shown = capsys.readouterr()
    *rows, failed = json.loads(shown.out)
    assert failed == {"file": str(tmp_path / "broken.wav"), "error": "empty file (0 bytes)"}
    assert len(rows) == 3
    assert all("high" in row["tags"] for row in rows)
    assert [row["distance"] for row in rows] == sorted(row["distance"] for row in rows)
    assert main([*command, "--csv"]) == 1
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 10
    assert main([*command, "--metric", "euclidean"]) == 1
    assert "| path " in capsys.readouterr().out
    clip = sorted(project.audio.rglob("*.mp3"))[0]
    assert main(["similar", str(clip), "--top", "99", *places(project, data)]) == 0
    table = capsys.readouterr().out
    assert clip.name not in table.partition("\n")[2]
    assert " song |" in table


def test_the_options_are_parsed_before_anything_heavy_is_imported():
    code = "import sys; from earmark.cli import command_line; command_line(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
