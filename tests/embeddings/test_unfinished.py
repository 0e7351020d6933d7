"""What a run has computed lies on the disk: one run at a time, and nothing that is none of it is touched."""

from __future__ import annotations

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
