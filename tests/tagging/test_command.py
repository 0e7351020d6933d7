"""`earmark tag` writes what is predicted, never over what a person wrote, and takes it out again."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import soundfile as sf
from helpers.music import tone
from helpers.small_data import fill

from earmark.cli import main

FORMATS = {"a.mp3": {}, "b.flac": {}, "c.ogg": {}, "d.wav": {}, "e.aiff": {}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from helpers.music import write_songs

    folder = tmp_path_factory.mktemp("place")
    return fill(folder, *write_songs(folder))


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "music"
    folder.mkdir()
    for number, name in enumerate(FORMATS):
        sf.write(folder / name, tone(3, 300 + 500 * number), 16_000)
    return folder


def tag(place, *arguments):
    return main(["tag", "--params", str(place.params), "--data", str(place.data), *map(str, arguments)])


def test_a_sidecar_holds_tags_and_provenance_and_is_taken_away(place, music, capsys):
    assert tag(place, music, "--threshold", "0.3") == 0
    content = json.loads((music / "a.mp3.tags.json").read_text())
    assert content["model"] == "linear"
    assert content["earmark"]
    assert {row["threshold"] for row in content["tags"]} <= {0.3}
    assert all(row["probability"] >= 0.3 for row in content["tags"])
    assert len(list(music.glob("*.tags.json"))) == len(FORMATS)
    assert tag(place, music, "--undo") == 0
    assert sorted(path.name for path in music.iterdir()) == list(FORMATS)
    assert "a.mp3.tags.json: deleted" in capsys.readouterr().out


def test_what_somebody_else_wrote_stays_and_the_rest_goes_on(place, music, capsys):
    (music / "b.flac.tags.json").write_text('{"mood": "mine"}')
    assert tag(place, music) == 1
    assert (music / "b.flac.tags.json").read_text() == '{"mood": "mine"}'
    assert "b.flac.tags.json is not overwritten: earmark did not write it" in capsys.readouterr().err
    assert len(list(music.glob("*.tags.json"))) == len(FORMATS)
    assert tag(place, music, "--undo") == 1
    assert (music / "b.flac.tags.json").exists()


def test_a_dry_run_writes_nothing(place, music, capsys):
    before = {path.name: path.read_bytes() for path in music.iterdir()}
    for kind in ("sidecar", "id3"):
        assert tag(place, music, "--dry-run", "--write", kind) == 0
    assert tag(place, music, "--dry-run", "--write", "m3u", "--out", music / "lists") == 0
    assert {path.name: path.read_bytes() for path in music.iterdir()} == before
    assert capsys.readouterr().out.count("(not written)") == 3 * len(FORMATS)


def test_a_playlist_per_tag_names_files_from_where_it_lies(place, music, tmp_path, capsys):
    lists = tmp_path / "lists"
    assert tag(place, music, "--write", "m3u", "--out", lists, "--threshold", "0") == 0
    text = (lists / "high.m3u8").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert sorted(lines) == [f"../music/{name}" for name in FORMATS]
    assert text.startswith("#EXTM3U\n# written by earmark ")
    assert (lists / lines[0]).is_file()
    (lists / "own.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    assert tag(place, music, "--write", "m3u", "--out", lists, "--undo") == 0
    assert [path.name for path in lists.iterdir()] == ["own.m3u8"]
    with pytest.raises(SystemExit):
        tag(place, music, "--write", "m3u")
    assert "--write m3u needs --out FOLDER" in capsys.readouterr().err


def test_a_playlist_of_somebody_else_is_not_overwritten(place, music, tmp_path):
    (tmp_path / "high.m3u8").write_text("#EXTM3U\nmine.mp3\n")
    with pytest.raises(SystemExit):
        tag(place, music, "--write", "m3u", "--out", tmp_path, "--threshold", "0")
    assert (tmp_path / "high.m3u8").read_text() == "#EXTM3U\nmine.mp3\n"


def test_a_files_own_tags_keep_what_a_person_wrote(place, music, capsys):
    mutagen = pytest.importorskip("mutagen", reason="the extra tags is not installed")
    from mutagen.id3 import TCON, TIT2

    flac = mutagen.File(music / "b.flac")
    flac["genre"] = ["mine"]
    flac.save()
    mp3 = mutagen.File(music / "a.mp3")
    mp3.add_tags()
    mp3.tags.add(TIT2(encoding=3, text=["Title"]))
    mp3.tags.add(TCON(encoding=3, text=["mine"]))
    mp3.save()
    before = {name: sf.read(music / name)[0] for name in FORMATS}
    assert tag(place, music, "--write", "id3", "--threshold", "0.2") == 0
    assert mutagen.File(music / "b.flac")["genre"] == ["mine"]
    assert mutagen.File(music / "b.flac")["EARMARK_MODEL"] == ["linear"]
    written = mutagen.File(music / "a.mp3").tags
    assert written["TCON"].text == ["mine"]
    assert set(written["TXXX:EARMARK_TAGS"].text[0].split("; ")) <= {"high", "low", "loud"}
    assert json.loads(written["TXXX:EARMARK_DETAILS"].text[0])[0]["threshold"] == 0.2
    for name, wave in before.items():
        assert (sf.read(music / name)[0] == wave).all()
    assert tag(place, music, "--write", "id3") == 0  # again: its own fields are replaced
    assert tag(place, music, "--write", "id3", "--undo") == 0
    assert mutagen.File(music / "b.flac").tags.as_dict() == {"genre": ["mine"]}
    assert set(mutagen.File(music / "a.mp3").tags) == {"TIT2", "TCON"}
    assert not mutagen.File(music / "d.wav").tags
    assert sorted(path.name for path in music.iterdir()) == list(FORMATS)
    capsys.readouterr()
    again = {path.name: path.stat().st_mtime_ns for path in music.iterdir()}
    assert tag(place, music, "--write", "id3", "--undo") == 0
    assert capsys.readouterr().out == ""
    assert {path.name: path.stat().st_mtime_ns for path in music.iterdir()} == again


def test_a_file_that_is_read_only_is_told_and_the_rest_goes_on(place, music, capsys):
    pytest.importorskip("mutagen", reason="the extra tags is not installed")
    (music / "c.ogg").chmod(0o444)
    before = (music / "c.ogg").read_bytes()
    assert tag(place, music, "--write", "id3") == 1
    assert "c.ogg cannot be changed: it is read-only" in capsys.readouterr().err
    assert (music / "c.ogg").read_bytes() == before
    assert not list(music.glob(".*"))


def test_names_with_quotes_line_breaks_and_dashes_are_names(place, music):
    for name in ("-n.wav", 'it\'s "x".wav', "#list.wav"):
        shutil.copy(music / "d.wav", music / name)
    assert tag(place, music) == 0
    assert (music / "-n.wav.tags.json").exists()
    assert tag(place, music, "--write", "m3u", "--out", music, "--threshold", "0") == 0
    assert "\n./#list.wav\n" in (music / "high.m3u8").read_text()


@pytest.mark.parametrize(
    ("name", "why"), [("two\nlines.mp3", "its name has a line break"), ("no\udcfftext.mp3", "its name is not UTF-8")]
)
def test_a_name_that_no_playlist_can_hold_is_told_and_the_others_are_listed(place, music, capsys, name, why):
    shutil.copy(music / "a.mp3", music / name)
    assert tag(place, music, "--write", "m3u", "--out", music, "--threshold", "0") == 1
    assert f"{str(music / name)!r} cannot be in a playlist: {why}; rename it\n" in capsys.readouterr().err
    lines = [line for line in (music / "high.m3u8").read_text().splitlines() if not line.startswith("#")]
    assert sorted(lines) == list(FORMATS)


@pytest.mark.parametrize("kind", ["sidecar", "id3"])
def test_a_name_that_is_too_long_is_told_and_the_others_are_written(place, music, capsys, kind):
    if kind == "id3":
        pytest.importorskip("mutagen", reason="the extra tags is not installed")
    long = music / f"{'a' * 251}.wav"
    shutil.copy(music / "d.wav", long)
    for more in ([], ["--undo"]):
        assert tag(place, music, "--write", kind, *more) == 1
        shown = capsys.readouterr()
        assert f"{long.name}" in shown.err
        assert "File name too long" in shown.err
        assert len([line for line in shown.out.splitlines() if line.startswith(f"{music}/")]) == len(FORMATS)


@pytest.mark.parametrize("kind", ["sidecar", "id3"])
def test_a_link_where_something_is_written_first_is_replaced_and_not_written_through(place, music, tmp_path, kind):
    if kind == "id3":
        pytest.importorskip("mutagen", reason="the extra tags is not installed")
    (tmp_path / "victim").write_text("precious")
    for name in (".a.mp3.earmark", "a.mp3.tags.json.tmp"):
        (music / name).symlink_to(tmp_path / "victim")
    assert tag(place, music / "a.mp3", "--write", kind) == 0
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (music / "a.mp3").is_symlink()
    assert not (music / "a.mp3.tags.json").is_symlink()


def test_a_pipe_is_not_waited_for(place, music, capsys):
    os.mkfifo(music / "a.mp3.tags.json")
    os.mkfifo(music / "high.m3u8")
    for more in ([], ["--undo"]):
        assert tag(place, music, *more) == 1
        assert "a.mp3.tags.json is not " in capsys.readouterr().err
    assert tag(place, music, "--write", "m3u", "--out", music, "--undo") == 0
    with pytest.raises(SystemExit):
        tag(place, music, "--write", "m3u", "--out", music, "--threshold", "0")
    assert "high.m3u8 is not overwritten: earmark did not write it" in capsys.readouterr().err
