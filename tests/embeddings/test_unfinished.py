"""What a run has computed lies on the disk: one run at a time, and nothing that is none of it is touched."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from earmark.embeddings import table
from earmark.embeddings.table import Entry
from earmark.embeddings.unfinished import Unfinished
from earmark.errors import EarmarkError

MARK = {"model": "mine", "layer": ""}


def entry(path, width=3):
    return Entry(path, path * 8, np.zeros(1), np.full((1, width), len(path), np.float32))


def test_entries_are_written_in_the_order_that_is_asked_for_and_those_that_are_not_are_left_out(tmp_path):
    with Unfinished(tmp_path / "x.h5", MARK) as done:
        for path in ("aa", "b", "ccc"):
            done.add(entry(path))
        assert done.finish(["ccc", "aa"], "float32", False) == 3
    found = list(table.read(tmp_path / "x.h5"))
    assert [one.path for one in found] == ["ccc", "aa"]
    assert [one.embedding[0, 0] for one in found] == [3, 2]
    assert not (tmp_path / "x.h5.partial").exists()


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    with Unfinished(tmp_path / "x.h5", MARK) as done:
        done.add(entry("a"))
        with pytest.raises(EarmarkError, match=r"x\.h5\.partial cannot be used: another run is writing it"):
            Unfinished(tmp_path / "x.h5", MARK)
        done.add(entry("b"))
    with Unfinished(tmp_path / "x.h5", MARK) as done:
        assert set(done.sources) == {"a", "b"}


def test_a_file_that_is_none_of_its_own_is_refused(tmp_path):
    (tmp_path / "x.h5.partial").write_text("notes of somebody, which are longer than a header of SQLite" * 9)
    with pytest.raises(EarmarkError, match=r"x\.h5\.partial cannot be used: file is not a database"):
        Unfinished(tmp_path / "x.h5", MARK)


def test_embeddings_of_two_widths_are_no_table(tmp_path):
    with Unfinished(tmp_path / "x.h5", MARK) as done:
        done.add(entry("a"))
        done.add(entry("b", 4))
        with pytest.raises(EarmarkError, match=r"the width of all embeddings must be the same, got \[3, 4\]"):
            done.finish(["a", "b"], "float32", False)


def begun(tmp_path):
    """A run that was killed after three files; returns what it has left."""
    with Unfinished(tmp_path / "x.h5", MARK) as done:
        for path in ("aa", "b", "ccc"):
            done.add(entry(path))
    return tmp_path / "x.h5.partial"


def gone_on(tmp_path):
    """The names of the files that a run takes over from it, and the table that it then makes."""
    with Unfinished(tmp_path / "x.h5", MARK) as done:
        there = set(done.sources)
        for path in {"aa", "b", "ccc"} - there:
            done.add(entry(path))
        done.finish(["aa", "b", "ccc"], "float32", False)
    return there, [one.embedding[0].tolist() for one in table.read(tmp_path / "x.h5")]


WHOLE = [[2.0] * 3, [1.0] * 3, [3.0] * 3]


@pytest.mark.parametrize(
    "change",
    [
        "embedding = x'00'", "embedding = NULL", "embedding = x'0000c0400000c0400000c040'", "rows = 2", "rows = 'x'",
        "rows = 1000000000000", "width = -1", "width = NULL", "source = x'ff'", "source = 5", "starts = 'text'",
        "crc32 = NULL",
    ],
)  # fmt: skip
def test_a_row_that_has_become_another_is_made_again_and_a_line_says_so(tmp_path, capsys, change):
    with closing(sqlite3.connect(begun(tmp_path))) as file:
        file.execute(f"UPDATE entries SET {change} WHERE path = 'b'")
        file.commit()
    assert gone_on(tmp_path) == ({"aa", "ccc"}, WHOLE)
    assert capsys.readouterr().err.endswith("x.h5.partial is damaged: 1 of its files are embedded anew\n")


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE entries; CREATE TABLE entries (path TEXT PRIMARY KEY, source, rows, width, starts, embedding)",
        "DROP TABLE entries; CREATE TABLE entries (a)",
        "DROP TABLE entries; CREATE VIEW entries AS SELECT 1 AS path, 2 AS source",
        "DROP TABLE mark; CREATE TABLE mark (a)",
    ],
)
def test_a_file_of_another_version_is_begun_anew_and_a_line_says_so(tmp_path, capsys, script):
    with closing(sqlite3.connect(begun(tmp_path))) as file:
        file.executescript(script)
    assert gone_on(tmp_path) == (set(), WHOLE)
    assert "x.h5.partial is damaged, or of another version (" in (told := capsys.readouterr().err)
    assert told.endswith("): everything is embedded anew\n")


def test_what_has_lost_its_mark_is_not_taken_over(tmp_path):
    with closing(sqlite3.connect(begun(tmp_path))) as file:
        file.execute("DELETE FROM mark")
        file.commit()
    assert gone_on(tmp_path) == (set(), WHOLE)


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (np.ones(3, np.float32).tobytes(), np.array([1, 1, 2], np.float32).tobytes(), {"aa", "ccc"}),
        (b"CREATE TABLE entries", b"CREATE\nTABLE", set()),
        (b"tableentries", b"tableentr\x8fes", set()),
    ],
)
def test_bytes_that_changed_on_the_disk_are_noticed(tmp_path, capsys, old, new, kept):
    place = begun(tmp_path)
    place.write_bytes(place.read_bytes().replace(old, new))
    assert gone_on(tmp_path) == (kept, WHOLE)
    assert capsys.readouterr().err.count("\n") == 1
