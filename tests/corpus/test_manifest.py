"""Files that stages write, such as manifest and tag table: they are read as written, and errors name what is wrong."""

from __future__ import annotations

import csv
import os
from dataclasses import replace

import numpy as np
import pytest
from helpers.sealed import sealed, unsealed

from earmark.corpus.manifest import WIDE, Clip, TagTable, read_manifest, read_tags, write_manifest, write_tags
from earmark.errors import EarmarkError
from earmark.files import read_json, write_json, write_text


def test_the_manifest_survives_the_round_trip_with_odd_characters(tmp_path):
    clips = [Clip("2", "a/it's \"odd\", isn't it-0-29.mp3", "a", "a/song, one", "ärtist", "train")]
    write_manifest(tmp_path / "manifest.csv", clips)
    assert read_manifest(tmp_path / "manifest.csv") == clips


def test_tags_survive_the_round_trip(tmp_path):
    table = TagTable(("7", "9"), ("no vocals", 'a,"b"'), np.array([[1, 0], [0, 1]], np.uint8))
    write_tags(tmp_path / "tags.csv", table)
    again = read_tags(tmp_path / "tags.csv")
    assert again.clip_ids == table.clip_ids
    assert again.tags == table.tags
    np.testing.assert_array_equal(again.values, table.values)


def test_a_failed_write_leaves_the_old_table_alone(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(path, [Clip("1", "a/x.mp3", "a", "s", "x", "train")])
    before = path.read_bytes()

    def broken():
        yield Clip("2", "a/y.mp3", "a", "s", "x", "train")
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_manifest(path, broken())
    assert path.read_bytes() == before


def test_a_metric_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"auc": float("nan")})
    assert not (tmp_path / "m.json").exists()


@pytest.fixture
def pythons_limit():
    """Python's own limit of a field, which scipy raises for the whole process when it reads an ARFF file."""
    before = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"does not exist; run the stage that makes it \(`dvc repro`\), or `dvc pull` it"),
        (b"", "the columns must begin with clip_id, path, .*, got"),
        (b"a,b\n1,2\n", "the columns must begin with clip_id, path"),
        (b"clip_id,path,shard,song,artist,split\n1,2,3,4,5,train\n", "manifest.csv has no checksum"),
        (b"clip_id,path,shard,song,artist,split\n1,2\n", "row 2: 6 columns expected, got 2"),
        (b"clip_id,path,shard,song,artist,split\n1,2,\xff", "is not UTF-8 at byte 41"),
        (b'clip_id,path,shard,song,artist,split\n"' + b"x" * 200_000 + b'"', "row 2, is no CSV: field larger than"),
        (b'clip_id,path,shard,song,artist,split\n1,2,3,4,5,"6\n7,8,9,10,11,12\n', "row 2, is no CSV: unexpected end"),
    ],
)
@pytest.mark.usefixtures("pythons_limit")
def test_a_table_that_no_stage_wrote_is_explained(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(EarmarkError, match=message):
        read_manifest(tmp_path / "manifest.csv")


def test_a_manifest_with_another_column_is_refused(tmp_path):
    sealed(tmp_path / "manifest.csv", "clip_id,path,shard,song,artist,split,x\n1,2,3,4,5,train,7\n")
    with pytest.raises(EarmarkError, match=r"the columns must be .* split, got another, x"):
        read_manifest(tmp_path / "manifest.csv")


def test_a_tag_that_stands_twice_is_named_and_one_that_is_called_as_a_column_is_none(tmp_path):
    sealed(tmp_path / "tags.csv", "clip_id,a,a\n1,0,1\n")
    with pytest.raises(EarmarkError, match=r"tags\.csv: column 'a' stands in the header more than once"):
        read_tags(tmp_path / "tags.csv")
    write_tags(tmp_path / "tags.csv", TagTable(("1",), ("clip_id", "a"), np.array([[0, 1]], np.uint8)))
    assert read_tags(tmp_path / "tags.csv").tags == ("clip_id", "a")


def test_every_text_that_a_clip_may_have_comes_back(tmp_path):
    clips = [
        Clip("1", "a.mp3", "a", "line\nend", "carriage\rreturn\r\n", "train"),
        Clip('"2"', ",", "\u2028", "", "é", "test"),
    ]
    write_manifest(tmp_path / "manifest.csv", clips)
    assert read_manifest(tmp_path / "manifest.csv") == clips


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"path": "/etc/passwd"}, "path must lie inside the audio folder, got '/etc/passwd'"),
        ({"path": "../../../etc/hostname"}, "path must lie inside the audio folder"),
        ({"path": ""}, "path must lie inside the audio folder, got ''"),
        ({"path": "a\0.mp3"}, "path must lie inside the audio folder"),
        ({"shard": "../../evil"}, "shard must be a plain name, got '../../evil'"),
        ({"shard": ".hidden"}, "shard must be a plain name"),
        ({"shard": ""}, "shard must be a plain name"),
        ({"split": "bogus"}, "split must be one of train, valid, test, got 'bogus'"),
        ({"clip_id": "1"}, "clip_id must be a text without NUL, in no other row, got '1'"),
        ({"clip_id": ""}, "clip_id must be a text without NUL, in no other row, got ''"),
        ({"clip_id": "a\0"}, "clip_id must be a text without NUL"),
    ],
)
def test_a_clip_that_no_corpus_has_is_named_by_its_row(tmp_path, changed, told):
    good = Clip("1", "a/..x.mp3", "a", "s", "x", "train")
    write_manifest(tmp_path / "manifest.csv", [good, replace(good, **({"clip_id": "2"} | changed))])
    with pytest.raises(EarmarkError, match=rf"manifest\.csv, row 3: {told}"):
        read_manifest(tmp_path / "manifest.csv")


def test_a_clip_that_has_tags_twice_is_named_by_its_row(tmp_path):
    write_tags(tmp_path / "tags.csv", TagTable(("1", "1"), ("a",), np.array([[0], [1]], np.uint8)))
    with pytest.raises(EarmarkError, match=r"tags\.csv, row 3: clip_id must be a text without NUL, in no other row"):
        read_tags(tmp_path / "tags.csv")


def test_a_tag_that_is_neither_0_nor_1_is_named(tmp_path):
    sealed(tmp_path / "tags.csv", "clip_id,a,b\n1,0,1\n2,1,yes\n")
    with pytest.raises(EarmarkError, match=r"tags\.csv, row 3: 'b' must be 0 or 1, got 'yes'"):
        read_tags(tmp_path / "tags.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; run the stage"),
        (b"{", "is no JSON"),
        (b"[1]", "must hold a JSON object, got list"),
        (b"\xff", "is not UTF-8"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_a_json_that_no_stage_wrote_is_explained(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(EarmarkError, match=message):
        read_json(tmp_path / "x.json")


def test_what_cannot_be_written_is_explained_and_what_stood_there_stays(tmp_path, monkeypatch):
    write_text(tmp_path / "x.txt", "old")

    def full(_):
        raise OSError(28, "No space left on device")  # as of a write: without the name of the file

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EarmarkError, match=r"x\.txt cannot be written: No space left on device; free some space"):
        write_text(tmp_path / "x.txt", "new")
    monkeypatch.undo()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x.txt", "old")]
    with pytest.raises(EarmarkError, match=r"cannot be written: .*a file stands where a folder is expected"):
        write_text(tmp_path / "x.txt/y.txt", "new")


def test_a_table_of_very_many_tags_holds_the_numbers_of_those_that_a_clip_has(tmp_path):
    path, tags = tmp_path / "tags.csv", tuple(f"tag {n}" for n in range(WIDE + 1))
    values = np.zeros((3, len(tags)), np.uint8)
    values[0, [0, 7, WIDE]] = values[2, 3] = 1
    write_tags(path, TagTable(("a", "b,", "c"), tags, values))
    assert unsealed(path).splitlines()[1:] == [f"a,0 7 {WIDE}", '"b,",', "c,3"]
    read = read_tags(path)
    assert (read.clip_ids, read.tags) == (("a", "b,", "c"), tags)
    np.testing.assert_array_equal(read.values.toarray(), values)
    assert [read.names(row) for row in range(3)] == [(tags[0], tags[7], tags[WIDE]), (), (tags[3],)]
    for cell in (f"{WIDE + 1}", "-1", "x", "1.0"):
        sealed(path, "clip_id,numbers of:," + ",".join(tags) + f"\na,{cell}\n")
        with pytest.raises(EarmarkError, match=rf"row 2: numbers below {WIDE + 1} expected, got '{cell}'"):
            read_tags(path)
    path.write_text("clip_id,numbers of:," + ",".join(tags) + "\na\n")
    with pytest.raises(EarmarkError, match="row 2: 2 columns expected, got 1"):
        read_tags(path)


def test_a_table_of_the_usual_width_holds_a_cell_per_tag(tmp_path):
    write_tags(tmp_path / "tags.csv", TagTable(("a",), ("rock", "jazz"), np.array([[0, 1]], np.uint8)))
    assert unsealed(tmp_path / "tags.csv") == "clip_id,rock,jazz\na,0,1\n"


def test_a_corpus_that_was_edited_by_hand_says_where_it_is_edited(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(path, [Clip("1", "a/x.mp3", "a", "s", "x", "train")])
    path.write_text(path.read_text().replace(",train,", ",valid,"))
    with pytest.raises(EarmarkError, match=r"manifest\.csv is not what was written.*annotations.*`dvc repro corpus`"):
        read_manifest(path)
