"""The rehearsal builds a layout of links, knows every stage, and measures what a command takes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml
from helpers import ROOT

from earmark.bench import rehearsal, watched
from earmark.config import load
from earmark.corpus.read import read
from earmark.errors import EarmarkError
from earmark.training import validation

TABLE = "clip_id\trock\tjazz\tmp3_path\n" + "".join(
    f'"{n}"\t"{n % 2}"\t"{1 - n % 2}"\t"{folder}/artist_{n}-album-01-title-0-29.mp3"\n'
    for n, folder in enumerate("0123456789abcdef")
)


@pytest.fixture
def music(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "music/inner").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"music/inner/{name}.mp3").write_bytes(name.encode())
    (tmp_path / "annotations_final.csv").write_text(TABLE)
    return tmp_path / "music"


def settings_of(*words: object) -> dict:
    args = rehearsal.arguments().parse_args([str(word) for word in words])
    return rehearsal.of_tables(args) if args.mode == "tables" else rehearsal.of_tiny_clips(args)


def valid(settings: dict, monkeypatch, folder: Path):
    monkeypatch.chdir(ROOT)
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    config = load(folder / "params.yaml")
    validation.require(config)
    monkeypatch.chdir(folder)
    return config


def test_a_table_gets_a_file_for_each_of_its_rows(music, tmp_path, monkeypatch):
    settings = settings_of("tables", "--tables", tmp_path, "--audio", music, "--to", tmp_path / "to")
    config = valid(settings, monkeypatch, tmp_path / "to")
    clips, table = read(config.corpus)
    assert (len(clips), table.tags) == (16, ("rock", "jazz"))
    assert all((config.corpus.audio / c.path).samefile(music / "inner/one.mp3") for c in clips[::2])
    two = sum(path.stat().st_blocks * 512 for path in music.rglob("*.mp3"))
    assert watched.used(config.corpus.audio, Path("none")) == two  # whatever their names


def test_some_rows_are_evenly_spaced_so_that_no_split_is_empty(music, tmp_path, monkeypatch):
    words = "tables", "--tables", tmp_path, "--audio", music, "--to", tmp_path / "to", "--clips", 6
    clips, _ = read(valid(settings_of(*words), monkeypatch, tmp_path / "to").corpus)
    assert [clip.split for clip in clips] == ["train"] * 4 + ["valid", "test"]


def test_tiny_clips_lie_in_as_many_folders_as_are_wanted(tmp_path, monkeypatch):
    words = "tiny", "--clips", 12, "--shards", 4, "--to", tmp_path / "to"
    clips, table = read(valid(settings_of(*words), monkeypatch, tmp_path / "to").corpus)
    assert len({clip.shard for clip in clips}) == 4
    assert (len(clips), set(table.tags)) == (12, {"piano", "drums", "voice"})


def test_every_stage_of_dvc_yaml_is_measured(tmp_path):
    settings = settings_of("tiny", "--clips", 3, "--to", tmp_path / "to")
    names = [name.partition("@")[0] for name, _ in rehearsal.commands(settings)]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {*stages} - {*names} == {"encode", "standardize-encoded", "crossvalidate"}


def test_what_a_command_takes_is_measured_over_its_children(tmp_path):
    child = [sys.executable, "-c", "x = bytearray(150_000_000); import time; time.sleep(1)"]
    code = f"import subprocess; open('big', 'wb').write(bytes(10**6)); subprocess.run({child!r})"
    taken = watched.run([sys.executable, "-c", code], tmp_path, os.environ, tmp_path / "none")
    assert taken.rss > 150e6
    assert 1e6 <= taken.disk <= taken.peak < 2e6
    with pytest.raises(EarmarkError, match=r"(?s)ended with 3; .*rehearsal.log ends with:\nno$"):
        watched.run(
            [sys.executable, "-c", "print('no', flush=True); raise SystemExit(3)"], tmp_path, os.environ, tmp_path
        )


def test_the_table_takes_the_place_of_the_last_one(tmp_path):
    page = tmp_path / "scale.md"
    page.write_text("# Scale\n")
    for text in ("first\n", "second\n"):
        rehearsal.insert(page, "tiny", text)
    assert page.read_text() == "# Scale\n\n<!-- tiny -->\nsecond\n<!-- /tiny -->\n"
