"""Tables, folders and MTG-Jamendo all yield the same: clips and a tag table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from earmark.corpus.kinds import folders, jamendo, magnatagatune, table
from earmark.corpus.manifest import CorpusError
from earmark.corpus.rows import shard_of


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


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


@pytest.fixture
def gtzan(tmp_path):
    for name in ("blues/blues.00000.wav", "blues/blues.00001.au", "rock/rock.00000.mp3", "rock/notes.txt", "x.wav"):
        write(tmp_path / "audio" / name, "")
    return tmp_path / "audio"


def test_a_folder_is_the_class_of_its_files(gtzan):
    clips, tags = folders.read(gtzan)
    assert [c.path for c in clips] == ["blues/blues.00000.wav", "blues/blues.00001.au", "rock/rock.00000.mp3"]
    assert tags.tags == ("blues", "rock")
    np.testing.assert_array_equal(tags.values, [[1, 0], [1, 0], [0, 1]])
    assert [c.shard for c in clips] == ["blues", "blues", "rock"]


def test_fault_filtered_lists_and_an_index_of_artists_are_used(gtzan, tmp_path):
    lists = {
        "train": write(tmp_path / "train.txt", "blues/blues.00000.wav\n"),
        "test": write(tmp_path / "test.txt", "rock/rock.00000.mp3\n\n"),
    }
    artists = write(tmp_path / "artists.csv", "blues/blues.00000.wav,John Lee Hooker\n")
    clips, _ = folders.read(gtzan, lists, artists)
    assert [(c.path, c.split) for c in clips] == [("blues/blues.00000.wav", "train"), ("rock/rock.00000.mp3", "test")]
    assert [c.artist for c in clips] == ["John Lee Hooker", "rock/rock.00000.mp3"]


def test_lists_that_do_not_fit_are_named(gtzan, tmp_path):
    with pytest.raises(CorpusError, match=r"'rock/rock.00099.mp3' and 0 more are not below"):
        folders.read(gtzan, {"train": write(tmp_path / "a.txt", "rock/rock.00099.mp3\n")})
    one, two = (write(tmp_path / f"{n}.txt", "rock/rock.00000.mp3\n") for n in "ab")
    with pytest.raises(CorpusError, match="is in train and in test"):
        folders.read(gtzan, {"train": one, "test": two})
    with pytest.raises(CorpusError, match="holds no folder with audio files"):
        folders.read(tmp_path / "nowhere")


HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"


@pytest.fixture
def metadata(tmp_path):
    lines = {
        "train": "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\tmood/theme---dark\n",
        "validation": "track_0000215\tartist_000015\talbum_000031\t15/215.mp3\t151.4\tinstrument---dark\n",
        "test": "track_0000216\tartist_000016\talbum_000031\t16/216.mp3\t234.9\tgenre---punkrock\tgenre---metal\n",
    }
    for name, line in lines.items():
        write(tmp_path / f"splits/split-2/autotagging_top50tags-{name}.tsv", HEADER + line)
    return tmp_path


def test_jamendos_tables_are_read_with_their_splits(metadata):
    clips, tags = jamendo.read(metadata, split=2)
    assert [(c.clip_id, c.path, c.shard, c.artist, c.split) for c in clips] == [
        ("track_0000214", "14/214.mp3", "14", "artist_000014", "train"),
        ("track_0000215", "15/215.mp3", "15", "artist_000015", "valid"),
        ("track_0000216", "16/216.mp3", "16", "artist_000016", "test"),
    ]
    assert tags.tags == ("punkrock", "dark (mood/theme)", "dark (instrument)", "metal")
    np.testing.assert_array_equal(tags.values, [[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]])


def test_what_is_wrong_with_jamendos_tables_is_named(metadata):
    with pytest.raises(CorpusError, match=r"subset must be one of all, top50, .* got 'rock'"):
        jamendo.read(metadata, subset="rock")
    with pytest.raises(CorpusError, match=r"split-0.*does not exist"):
        jamendo.read(metadata)
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(HEADER + "track\tartist\n")
    with pytest.raises(CorpusError, match="line 2: 6 columns or more expected, got 2"):
        jamendo.read(metadata, split=2)
    file.write_text("TRACK\n")
    with pytest.raises(CorpusError, match="the columns must be TRACK_ID"):
        jamendo.read(metadata, split=2)


def test_shards_are_folders_and_different_folders_are_different_shards():
    assert shard_of("a/b.mp3") == "a"
    assert shard_of("b.mp3") in "0123456789abcdef"
    assert len({shard_of(p) for p in ("a b/x", "a_b/x", "a/b/x", "a-b/x")}) == 4


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
    """U+2028 and its like end a line for ``str.splitlines``, and for no CSV."""
    name = "Sigur\u2028Rós\x0b\x85"
    clips, _ = table.read(write(tmp_path / "t.csv", f"path,tags,artist\r\na.mp3,x,{name}\r\nb.mp3,x,Ann\r\n"))
    assert [c.artist for c in clips] == [name.strip(), "Ann"]
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(file.read_text().replace("artist_000016", "artist\u2028"), encoding="utf-8", newline="")
    assert jamendo.read(metadata, split=2)[0][2].artist == "artist\u2028"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,tags,tags\na.mp3,x,y\n", r"t\.csv: column 'tags' stands in the header more than once"),
        ('path,tags\na.mp3,"x\nb.mp3,x\n', r"line 2: unexpected end of data; is there a quotation mark too many\?"),
        ('path,tags\na.mp3,"x\nb.mp3,x"\n', r"lines 2 to 3: a cell goes over several lines; is there a quotation"),
        ('path,tags\na.mp3,"x"y\n', "line 2: ',' expected after '\"'; is there a quotation mark"),
        ("path,tags\n0\\a.mp3,x\n", r"line 2: the path must have forward slashes, as '0/a\.mp3', got '0\\\\a\.mp3'"),
        ("path,tags\na\0.mp3,x\n", "line 2: the path must lie inside"),
    ],
)
def test_what_a_spreadsheet_gets_wrong_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        table.read(write(tmp_path / "t.csv", text))


def test_a_table_of_any_of_the_kinds_that_cannot_be_read_names_the_key_and_the_cause(tmp_path, monkeypatch):
    audio = write(tmp_path / "audio/0/x.mp3", "").parent.parent
    for read in (table.read, lambda folder: magnatagatune.read(audio, folder)):
        with pytest.raises(CorpusError, match=r"corpus\.annotations: .* cannot be read: Is a directory; a folder"):
            read(tmp_path)
    with pytest.raises(CorpusError, match=r"corpus\.annotations: 'a\\x00b' cannot be read: embedded null byte"):
        table.read(Path("a\0b"))

    def refused(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)  # root may read everything
    with pytest.raises(CorpusError, match=r"corpus\.annotations: .*t\.csv cannot be read: Permission denied"):
        table.read(tmp_path / "t.csv")


def test_jamendos_errors_name_keys_that_are_there(metadata):
    with pytest.raises(CorpusError, match=r"^corpus\.jamendo\.subset must be one of"):
        jamendo.read(metadata, subset="rock")
    with pytest.raises(
        CorpusError, match=r"^corpus\.annotations: .*does not exist; is it the repository's data folder"
    ):
        jamendo.read(metadata)


def test_lists_and_an_index_that_fit_no_file_name_themselves(gtzan, tmp_path):
    """An index of a corpus of .au files, for one of .wav: no artist would be known, and artists would leak."""
    index = write(tmp_path / "artists.csv", "blues/blues.00000.au,Ann\nrock/rock.00000.au,Bob\n")
    told = r"artists\.csv: none of its 2 paths is below .*, the first being 'blues/blues\.00000\.au' where 'blues/bl"
    with pytest.raises(CorpusError, match=told):
        folders.read(gtzan, {}, index)
    absent = write(tmp_path / "train.txt", "rock/rock.00000.au\n")
    with pytest.raises(CorpusError, match=r"train\.txt: 'rock/rock\.00000\.au' and 0 more are not below"):
        folders.read(gtzan, {"train": absent})


def test_hidden_files_are_no_clips_and_a_name_that_is_no_text_is_told(gtzan):
    write(gtzan / "rock/._rock.00000.mp3", "")
    assert len(folders.read(gtzan)[0]) == 3
    write(gtzan / "rock" / os.fsdecode(b"Caf\xe9.mp3"), "")
    with pytest.raises(CorpusError, match=r"the name 'rock/Caf\\udce9\.mp3' is not UTF-8; rename the file"):
        folders.read(gtzan)
