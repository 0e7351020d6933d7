"""Text files that users bring: an error names a file that is absent, unreadable or not UTF-8, for every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpora import write

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
