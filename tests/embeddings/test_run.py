"""A folder of files becomes a table: in bounded memory, with rejects, resumed where it was, by content."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil

import numpy as np
import pytest
import soundfile as sf
from helpers.music import tone

from earmark.embeddings import run, table, unfinished
from earmark.embeddings.embedder import open_embedder
from earmark.errors import EarmarkError


@pytest.fixture
def embedder(project):
    return open_embedder(project.params, str(project.folder / "model.safetensors"), None, project.data)


@pytest.fixture
def music(tmp_path):
    """Seven files of two segments each."""
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(7):
        sf.write(folder / f"{number}.wav", tone(3.5, 300 + 50 * number), 16_000)
    return {path.name: path for path in sorted(folder.iterdir())}


def counted(embedder, before=lambda _: None):
    """The embedder, and how often it was asked; before: called with the number of each call."""
    calls = []

    def segments(features):
        calls.append(len(features))
        before(len(calls))
        return embedder.segments(features)

    return dataclasses.replace(embedder, segments=segments), calls


def values(out):
    return {entry.path: entry.embedding for entry in table.read(out)}


def test_every_file_has_the_embedding_that_it_has_alone(embedder, music, tmp_path):
    done = run.embed_files(embedder, music, tmp_path / "out/x.h5")
    assert (done.files, done.computed, done.width, dict(done.rejected)) == (7, 7, 6, {})
    found = values(tmp_path / "out/x.h5")
    assert list(found) == list(music)
    for name, path in music.items():
        np.testing.assert_array_equal(found[name][0], embedder.embed(path))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.h5"]


@pytest.mark.parametrize("model", ["model.safetensors", "bands"])
def test_segments_are_rows_with_the_seconds_at_which_they_begin(project, music, tmp_path, model):
    name = str(project.folder / model) if "." in model else model
    embedder = open_embedder(project.params, name, None, project.data)
    sf.write(tmp_path / "long.wav", tone(4.2, 300), 16_000)
    run.embed_files(embedder, music | {"long": tmp_path / "long.wav"}, tmp_path / "x.h5", per_segment=True)
    entries = list(table.read(tmp_path / "x.h5"))
    assert [entry.starts.tolist() for entry in entries] == [[0, 1.75]] * 7 + [[0, 1.75, 2.45]]
    np.testing.assert_array_equal(entries[-1].embedding.mean(axis=0), embedder.embed(tmp_path / "long.wav"))


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_killed_run_goes_on_where_it_was_and_gives_the_same_bytes(embedder, music, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(unfinished, "EVERY", 2)
    for folder in ("killed", "stopped", "whole"):
        (tmp_path / folder).mkdir()

    def stop(number):
        if number == 6:
            for path in (tmp_path / "stopped").iterdir():  # what lies on the disk if the process is killed here
                shutil.copy(path, tmp_path / "killed")
            raise KeyboardInterrupt

    run.embed_files(embedder, music, tmp_path / f"whole/x{suffix}")
    with pytest.raises(KeyboardInterrupt):
        run.embed_files(counted(embedder, stop)[0], music, tmp_path / f"stopped/x{suffix}")
    for folder, left in (("killed", 3), ("stopped", 2)):
        out = tmp_path / folder / f"x{suffix}"
        assert not out.exists()
        again, calls = counted(embedder)
        assert run.embed_files(again, music, out).computed == len(calls) == left
        assert out.read_bytes() == (tmp_path / f"whole/x{suffix}").read_bytes()
        assert len(list((tmp_path / folder).iterdir())) == 1


def test_only_what_is_new_or_another_file_is_computed_and_what_is_gone_leaves_the_table(embedder, music, tmp_path):
    out = tmp_path / "x.h5"
    run.embed_files(embedder, music, out)
    before, when = out.read_bytes(), out.stat().st_mtime_ns
    assert run.embed_files(embedder, music, out).computed == 0
    assert out.stat().st_mtime_ns == when
    os.utime(music["3.wav"], (1, 1))  # the same bytes
    sf.write(music["4.wav"], tone(3.5, 999), 16_000)
    sf.write(tmp_path / "new.wav", tone(3.5, 77), 16_000)
    now = {name: path for name, path in music.items() if name != "0.wav"} | {"new.wav": tmp_path / "new.wav"}
    again, calls = counted(embedder)
    assert run.embed_files(again, now, out).computed == len(calls) == 2
    assert list(values(out)) == list(now)
    run.embed_files(embedder, now, tmp_path / "fresh.h5")
    assert out.read_bytes() == (tmp_path / "fresh.h5").read_bytes()
    assert out.read_bytes() != before


def test_another_layer_begins_anew_and_a_line_says_so(embedder, project, music, tmp_path, capsys):
    out = tmp_path / "x.h5"
    run.embed_files(embedder, music, out)
    assert not capsys.readouterr().err
    stack = open_embedder(project.params, str(project.folder / "model.safetensors"), "stack", project.data)
    assert run.embed_files(stack, music, out).computed == 7
    assert capsys.readouterr().err == f"{out} was made otherwise (layer): everything is embedded anew\n"

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.embed_files(counted(embedder, stop)[0], music, tmp_path / "y.npz")
    run.embed_files(stack, music, tmp_path / "y.npz")
    assert "y.npz.partial was made otherwise (layer)" in capsys.readouterr().err


def test_what_cannot_be_embedded_is_listed_with_its_reason_and_tried_again(embedder, music, tmp_path):
    names = {"no music": b"no music", "empty\nline 😀": b"", os.fsdecode(b"\xff"): b""}
    files = {name: tmp_path / f"{name}.wav" for name in names}
    for name, content in names.items():
        files[name].write_bytes(content)
    sf.write(tmp_path / "short.wav", tone(0.3, 440), 16_000)
    files |= {"short": tmp_path / "short.wav", "absent": tmp_path / "absent.wav", "folder": tmp_path, **music}
    done = run.embed_files(embedder, files, tmp_path / "x.h5", unread={"closed": "not readable: Permission denied"})
    assert (done.files, len(done.rejected)) == (7, 7)
    with (tmp_path / "x.h5.rejected.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert rows.pop("no music") == "text, no audio"
    assert rows.pop("short").startswith("too short: 0.30 s")
    assert rows == {
        "closed": "not readable: Permission denied",
        "empty\nline 😀": "empty file (0 bytes)",
        r"\xff": "its name is not UTF-8: rename it",
        "absent": "no such file",
        "folder": "no such file",
    }
    assert "no such file (2)" in done.reasons()
    shutil.copy(music["0.wav"], tmp_path / "absent.wav")
    assert run.embed_files(embedder, music | {"absent": files["absent"]}, tmp_path / "x.h5").computed == 1
    assert not (tmp_path / "x.h5.rejected.csv").exists()


def test_odd_names_that_are_text_have_embeddings(embedder, music, tmp_path):
    odd = {f"{name}.wav": tmp_path / f"{name}.wav" for name in ("😀", "a\nb", "é" * 50)}
    for path in odd.values():
        shutil.copy(music["1.wav"], path)
    assert not run.embed_files(embedder, odd, tmp_path / "x.h5").rejected
    assert list(values(tmp_path / "x.h5")) == list(odd)


def test_a_network_that_fails_on_one_file_rejects_it(embedder, music, tmp_path):
    def fail(number):
        if number == 2:
            raise EarmarkError("bands.py, line 3: ZeroDivisionError")

    done = run.embed_files(counted(embedder, fail)[0], music, tmp_path / "x.h5")
    assert done.rejected == {"1.wav": "bands.py, line 3: ZeroDivisionError"}
    nothing = dataclasses.replace(embedder, segments=lambda features: np.full((len(features), 6), np.nan, np.float32))
    with pytest.raises(
        EarmarkError, match=r"y\.h5 is not written: none of the 7 files .*y\.h5\.rejected\.csv says why"
    ):
        run.embed_files(nothing, music, tmp_path / "y.h5")
    assert "its embedding is not finite" in (tmp_path / "y.h5.rejected.csv").read_text()
    assert not (tmp_path / "y.h5").exists()


def test_no_more_files_are_read_ahead_than_there_are_workers(embedder, music, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_WORKERS", "2")
    read, most = [], []
    real = run._read

    def reading(*arguments):
        read.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(run, "_read", reading)
    run.embed_files(counted(embedder, lambda number: most.append(len(read) - number))[0], music, tmp_path / "x.h5")
    assert max(most) <= 2
