"""A table of one's own music: what it must have, what it may have, and what is refused with its line."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.corpora import write

from earmark.corpus.kinds import table
from earmark.corpus.manifest import CorpusError


def test_a_table_with_paths_and_tags_is_enough(tmp_path):
    clips, tags = table.read(write(tmp_path / "t.csv", "path,tags\nrock/a.mp3,rock|loud\nb.wav, calm \nc.wav,\n"))
    assert [(c.clip_id, c.path, c.song, c.artist) for c in clips] == [
        (p, p, p, p) for p in ("rock/a.mp3", "b.wav", "c.wav")
    ]
    assert tags.tags == ("rock", "loud", "calm")
    np.testing.assert_array_equal(tags.values, [[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert clips[0].shard == "rock"
    assert {c.split for c in clips} <= {"train", "valid", "test"}


def test_a_tables_optional_columns_are_taken(tmp_path):
    text = "clip_id,artist,song,split,path,tags\n7,Ann,Song,valid,x/a.mp3,t\n8,Ann,Song,valid,x/b.mp3,t\n"
    clips, _ = table.read(write(tmp_path / "t.csv", text))
    assert [(c.clip_id, c.artist, c.song, c.split) for c in clips] == [(i, "Ann", "Song", "valid") for i in "78"]


def test_clips_of_an_artist_share_a_split_that_growth_does_not_move(tmp_path):
    lines = [f"a{i % 9}/{i}.mp3,t,artist {i % 9}" for i in range(90)]
    clips, _ = table.read(write(tmp_path / "t.csv", "\n".join(["path,tags,artist", *lines])))
    by_artist = {c.artist: c.split for c in clips}
    assert all(by_artist[c.artist] == c.split for c in clips)
    fewer, _ = table.read(write(tmp_path / "t.csv", "\n".join(["path,tags,artist", *lines[:30]])))
    assert all(by_artist[c.artist] == c.split for c in fewer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,tags\na,b\n", "column 'path' is missing, got file, tags"),
        ("", "an empty file"),
        ("path,tags,mood\na,b,c\n", "column 'mood' is none of"),
        ("path,tags\na.mp3\n", "line 2: 2 columns expected"),
        ("path,tags\na.mp3,x,y\n", "line 2: 2 columns expected"),
        ("path,tags\na.mp3,x\na.mp3,y\n", r"line 3: clip 'a.mp3' stands in .*line 2 already"),
        ("path,tags\n../a.mp3,x\n", "inside the audio folder, got '../a.mp3'"),
        ("path,tags\n/a.mp3,x\n", "inside the audio folder"),
        ("path,tags,split\na.mp3,x,dev\n", "split must be one of train, valid, test, got 'dev'"),
        ("path,tags\n", "no clip"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        table.read(write(tmp_path / "t.csv", text))


def test_a_table_that_is_not_utf8_or_absent_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"path,tags\n\xff.mp3,x\n")
    with pytest.raises(CorpusError, match="not UTF-8 at byte 10"):
        table.read(tmp_path / "t.csv")
    with pytest.raises(CorpusError, match="does not exist"):
        table.read(tmp_path / "u.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,tags,tags\na.mp3,x,y\n", r"t\.csv: column 'tags' stands in the header more than once"),
        ('path,tags\na.mp3,"x\nb.mp3,x\n', r"line 2: unexpected end of data; is there a quotation mark too many\?"),
        ('path,tags\na.mp3,"x\nb.mp3,x"\n', r"lines 2 to 3: a cell goes over several lines; is there a quotation"),
        ('path,tags\na.mp3,"x"y\n', "line 2: ',' expected after '\"'; is there a quotation mark"),
        ("path,tags\n0\\a.mp3,x\n", r"line 2: the path must have forward slashes, as '0/a\.mp3', got '0\\\\a\.mp3'"),
        ("path,tags\na\0.mp3,x\n", "line 2: a NUL byte"),
    ],
)
def test_what_a_spreadsheet_gets_wrong_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        table.read(write(tmp_path / "t.csv", text))
