"""Text files that users bring: an error names a file that is absent, unreadable or not UTF-8, for every kind."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from helpers.corpora import write

from earmark.corpus import notes
from earmark.corpus.kinds import folders, jamendo, magnatagatune, table
from earmark.corpus.manifest import CorpusError


def test_text_that_is_not_utf8_is_named_whatever_the_corpus(gtzan, metadata, tmp_path):
    (tmp_path / "latin").write_bytes("rock/Café.mp3".encode("latin-1"))
    message = r"latin is not UTF-8 at byte 8"
    with pytest.raises(CorpusError, match=message):
        folders.read(gtzan, {"train": tmp_path / "latin"})
    with pytest.raises(CorpusError, match=message):
        folders.read(gtzan, {}, tmp_path / "latin")
    (tmp_path / "latin").replace(metadata / "splits/split-2/autotagging_top50tags-test.tsv")
    with pytest.raises(CorpusError, match=r"autotagging_top50tags-test\.tsv is not UTF-8"):
        jamendo.read(metadata, split=2)


def test_a_name_may_hold_a_line_separator_of_unicode(tmp_path, metadata):
    """U+2028 and the like end a line for ``str.splitlines``, but not in a CSV."""
    name = "Sigur\u2028Rós\x0b\x85"
    clips, _ = table.read(write(tmp_path / "t.csv", f"path,tags,artist\r\na.mp3,x,{name}\r\nb.mp3,x,Ann\r\n"))
    assert [c.artist for c in clips] == [name.strip(), "Ann"]
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(file.read_text().replace("artist_000016", "artist\u2028"), encoding="utf-8", newline="")
    assert jamendo.read(metadata, split=2)[0][2].artist == "artist\u2028"


def test_the_line_that_is_named_is_the_one_where_the_quoted_cell_begins(tmp_path):
    """Whatever stands below it: its end, a quotation mark that seems to close it, so much that csv gives up."""
    for below in ("", 'c.mp3,"x|y",Ann\n', 'c.mp3,x"\n', "d.mp3,x,y\n" * 20_000):
        file = write(tmp_path / "t.csv", 'path,tags,artist\na.mp3,x,Ann\nb.mp3,"x,Bob\n' + below)
        with pytest.raises(CorpusError, match=r"t\.csv, lines? 3[ :].*is there a quotation mark too many\?"):
            table.read(file)


@pytest.mark.parametrize("row", ['a.mp3,x"', 'a.mp3,x"y"', '7" single.mp3,x', 'a.mp3,x "y" z', 'a".mp3",x'])
def test_a_quotation_mark_stands_around_a_cell_or_twice_in_it(tmp_path, row):
    with pytest.raises(CorpusError, match=r"line 3: a quotation mark inside a cell"):
        table.read(write(tmp_path / "t.csv", f"path,tags\nb.mp3,x\n{row}\n"))


def test_what_a_strict_csv_may_hold(tmp_path):
    text = '"path" , "tags"\n"7"" single.mp3","a, b|c"\n a.mp3, "x"\n""\n  \n,\nb.mp3,""\n'
    text = text.replace(' , "tags"', ', "tags"')
    clips, tags = table.read(write(tmp_path / "t.csv", text))
    assert [clip.path for clip in clips] == ['7" single.mp3', "a.mp3", "b.mp3"]
    assert tags.tags == ("a, b", "c", "x")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_may_come_from_any_program(tmp_path, encoding, end, delimiter):
    """The line of a wrong row is the same in all of them, blank lines counted."""
    rows = [("path", "tags", "artist"), ("a.mp3", "x|é", "Sigur\u2028Rós"), (), ("b.mp3", "y", "\x85\x0c🎵")]
    text = end.join(delimiter.join(row) for row in rows)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    clips, tags = table.read(tmp_path / "t.csv")
    assert [(clip.path, clip.artist) for clip in clips] == [("a.mp3", "Sigur\u2028Rós"), ("b.mp3", "🎵")]
    assert tags.tags == ("x", "é", "y")
    (tmp_path / "t.csv").write_bytes((text + end + "c.mp3").encode(encoding))
    with pytest.raises(CorpusError, match=r"line 5: 3 columns expected, got 1; is it cut off\?"):
        table.read(tmp_path / "t.csv")


def test_excels_line_with_the_separator_is_no_row(tmp_path):
    file = write(tmp_path / "t.csv", "sep=;\npath;tags\na.mp3;x\n")
    assert [clip.path for clip in table.read(file)[0]] == ["a.mp3"]
    with pytest.raises(CorpusError, match="line 4: 2 columns expected, got 1"):
        table.read(write(file, file.read_text() + "b.mp3\n"))


def test_a_row_that_is_cut_otherwise_than_the_header_says_so(tmp_path):
    with pytest.raises(CorpusError, match=r"line 3: 2 columns expected, got 1; is it separated by ';', which"):
        table.read(write(tmp_path / "t.csv", "path,tags\na.mp3,x\nb.mp3;x\n"))
    with pytest.raises(CorpusError, match=r"line 2: 2 columns expected, got 3; a cell with a comma in it needs"):
        table.read(write(tmp_path / "t.csv", "path,tags\nCrosby, Stills.mp3,x\n"))


def test_a_nul_is_named_with_its_line_and_utf16_without_a_mark_is_recognised(tmp_path, metadata):
    (tmp_path / "t.csv").write_bytes("path,tags\na.mp3,x\n".encode("utf-16-le"))
    with pytest.raises(CorpusError, match=r"line 1: a NUL byte; the file is damaged, or UTF-16 without"):
        table.read(tmp_path / "t.csv")
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(file.read_text().replace("216.mp3", "2\0.mp3"))
    with pytest.raises(CorpusError, match=r"test\.tsv, line 2: a NUL byte"):
        jamendo.read(metadata, split=2)


TAGS = ("x", "", "x|y", '"x, y"', '"""x"""', "x\u2028\x85", " x ")


def mutated(random, number):
    """A row that cannot be used, as a table or the file system would spoil it."""
    path = f"f/{number}.wav"
    return random.choice(
        [f'{path},"x,Ann', f'{path},x",Ann', f"{path},x", f"{path},x,Ann,Bob", f"{path}\0,x,Ann", f'{path},"x"y,Ann',
         "f/0.wav,x,Ann", f"/{path},x,Ann", f"../{path},x,Ann", ",x,Ann", f'{path};x;Ann', f"{'x' * 256},x,Ann"]
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_rows_in_are_clips_out_and_rows_named(tmp_path, seed):
    """Random tables: every row is a clip, or is told to be left out, or the error names a line that is at fault."""
    random = Random(seed)
    rows, at_fault, clips, left_out = ["path,tags,artist", "f/0.wav,x,Ann"], [], ["f/0.wav"], []
    for number in range(1, 60):
        kind = random.choices(["fine", "blank", "hidden", "wrong"], [20, 2, 2, seed % 2 / 10])[0]
        line, path = len(rows) + 1, f"f/{number}.wav"
        if kind == "fine":
            rows.append(f"{path},{random.choice(TAGS)},Ann")
            clips.append(path)
        elif kind == "hidden":
            left_out.append(f"f/._{number}.wav")
            rows.append(f"{left_out[-1]},x,Ann")
        else:
            rows.append(random.choice(["", "  ", ",,"]) if kind == "blank" else mutated(random, number))
            at_fault += [line] * (kind == "wrong")
    file = write(tmp_path / "t.csv", random.choice(["\n", "\r\n"]).join(rows) + random.choice(["", "\n"]))
    if at_fault:
        with pytest.raises(CorpusError) as error:
            table.read(file)
        named = {int(line) for line in re.findall(r"t\.csv, lines? (\d+)", str(error.value).replace("already", ""))}
        assert named & set(at_fault)
    else:
        with notes.collected() as told:
            found, _ = table.read(file)
        assert [clip.path for clip in found] == clips
        assert len(left_out) == (int(re.search(r"(\d+) of \d+ rows name", told[0])[1]) if told else 0)


def test_a_table_of_any_of_the_kinds_that_cannot_be_read_names_the_key_and_the_cause(tmp_path, monkeypatch):
    audio = write(tmp_path / "audio/0/x.mp3", "").parent.parent
    for read in (table.read, lambda folder: magnatagatune.read(audio, folder)):
        with pytest.raises(CorpusError, match=r"corpus\.annotations: .* cannot be read: Is a directory; a folder"):
            read(tmp_path)
    with pytest.raises(CorpusError, match=r"corpus\.annotations: 'a\\x00b' cannot be read: embedded null byte"):
        table.read(Path("a\0b"))

    def refused(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refused)  # root may read everything
    with pytest.raises(CorpusError, match=r"corpus\.annotations: .*t\.csv cannot be read: Permission denied"):
        table.read(tmp_path / "t.csv")
