"""Tables with a checksum: any change is noticed, and a table without one is refused."""

from __future__ import annotations

import csv

import pytest

from earmark.errors import EarmarkError
from earmark.files import write_csv
from earmark.storage import sealed_csv

HEADER, ROWS = ["id", 'a "tag", or two', "b\nc"], [["1", "0", "1"], ["two, or 3", "1", "1"], ["ü", "0", "0"]]


def test_what_is_written_comes_back_and_other_programs_can_read_it(tmp_path):
    sealed_csv.write(tmp_path / "t.csv", HEADER, ROWS)
    assert sealed_csv.read(tmp_path / "t.csv", ["id"], "again") == (HEADER, ROWS)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert (header[:-1], rows) == (HEADER, [[*row, ""] for row in ROWS])
    assert header[-1].startswith("sha256:")


def test_every_flipped_bit_and_every_cut_is_found(tmp_path):
    sealed_csv.write(tmp_path / "t.csv", ["id", "x"], [["1", "0"], ["2", "1"]])
    content = (tmp_path / "t.csv").read_bytes()
    changed = [content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
               for place in range(len(content)) for bit in range(8)]  # fmt: skip
    for one in [*changed, *(content[:size] for size in range(len(content)))]:
        (tmp_path / "t.csv").write_bytes(one)
        with pytest.raises(EarmarkError):
            sealed_csv.read(tmp_path / "t.csv", ["id"], "make it again")


def test_a_changed_digit_is_told_with_what_to_do(tmp_path):
    sealed_csv.write(tmp_path / "t.csv", ["id", "x"], [["1", "0"]])
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text().replace("1,0,", "1,1,"))
    with pytest.raises(EarmarkError, match=r"t\.csv is not what was written: .* edited by hand; make it again"):
        sealed_csv.read(tmp_path / "t.csv", ["id"], "make it again")


def test_a_table_without_a_checksum_is_refused_with_what_to_do(tmp_path):
    write_csv(tmp_path / "t.csv", HEADER, ROWS)
    with pytest.raises(EarmarkError, match=r"t\.csv has no checksum: an earlier version made it, .*; make it again"):
        sealed_csv.read(tmp_path / "t.csv", ["id"], "make it again")
