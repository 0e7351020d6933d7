"""A folder per class: its files, the lists of splits and the index of artists."""

from __future__ import annotations

import os

import numpy as np
import pytest
from helpers.corpora import write

from earmark.corpus.kinds import folders
from earmark.corpus.manifest import CorpusError
from earmark.corpus.notes import collected


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
    with pytest.raises(CorpusError, match=r"none of its 1 paths is below .*, the first being 'rock/rock\.00099\.mp3'"):
        folders.read(gtzan, {"train": write(tmp_path / "a.txt", "rock/rock.00099.mp3\n")})
    one, two = (write(tmp_path / f"{n}.txt", "rock/rock.00000.mp3\n") for n in "ab")
    with pytest.raises(CorpusError, match="is in train and in test"):
        folders.read(gtzan, {"train": one, "test": two})
    with pytest.raises(CorpusError, match="holds no folder with audio files"):
        folders.read(tmp_path / "nowhere")


def test_lists_and_an_index_that_fit_no_file_name_themselves(gtzan, tmp_path):
    """An index of a corpus of .au files, for one of .wav: no artist would be known, and artists would leak."""
    index = write(tmp_path / "artists.csv", "blues/blues.00000.au,Ann\nrock/rock.00000.au,Bob\n")
    told = r"artists\.csv: none of its 2 paths is below .*, the first being 'blues/blues\.00000\.au' where 'blues/bl"
    with pytest.raises(CorpusError, match=told):
        folders.read(gtzan, {}, index)
    absent = write(tmp_path / "train.txt", "rock/rock.00000.au\n")
    with pytest.raises(
        CorpusError, match=r"train\.txt: none of its 1 paths is below .*'rock/rock\.00000\.mp3' is there: its en"
    ):
        folders.read(gtzan, {"train": absent})


def test_a_link_to_a_class_neither_takes_its_place_nor_loses_what_a_list_names(gtzan, tmp_path):
    (gtzan / "best").symlink_to(gtzan / "rock")
    assert folders.read(gtzan)[1].tags == ("blues", "rock")
    by_link = write(tmp_path / "train.txt", "blues/blues.00000.wav\nbest/rock.00000.mp3\n")
    with collected() as remarks:
        clips, _ = folders.read(gtzan, {"train": by_link})
    assert [clip.path for clip in clips] == ["blues/blues.00000.wav"]
    assert any(line.startswith("warning: 1 files of the lists are no clips: ") for line in remarks)
    assert any("1 links below" in line and "'best'" in line for line in remarks)


def test_a_class_that_cannot_be_entered_is_an_error(gtzan, monkeypatch):
    def refused(place):
        found = original(place)
        found.unreadable["rock"] = "Permission denied"
        return found

    original = folders.AudioFolder.of
    monkeypatch.setattr(folders.AudioFolder, "of", refused)
    told = r"corpus\.audio: 1 folders below .* cannot be entered, .*: 'rock' for one: Permission denied"
    with pytest.raises(CorpusError, match=told):
        folders.read(gtzan)


def told(read, *arguments):
    with collected() as remarks:
        read(*arguments)
    return remarks


def test_hidden_files_and_folders_are_no_clips_no_classes_and_no_artists(gtzan, tmp_path):
    for hidden in ("rock/._rock.00000.mp3", ".Trash-1000/1.mp3", "rock/.old/1.mp3", "__MACOSX/rock/1.mp3"):
        write(gtzan / hidden, "")
    clips, tags = folders.read(gtzan)
    assert len(clips) == 3
    assert tags.tags == ("blues", "rock")
    index = write(tmp_path / "artists.csv", "rock/rock.00000.mp3,Ann\nrock/._rock.00000.mp3,Bob\n")
    assert {clip.artist for clip in folders.read(gtzan, {}, index)[0]} == {
        "Ann", "blues/blues.00000.wav", "blues/blues.00001.au",
    }  # fmt: skip
    remarks = "\n".join(told(folders.read, gtzan, {}, index))
    assert "artists.csv: 1 of 2 rows name files of an operating system and are left out" in remarks
    assert "4 files or folders of operating systems are no music" in remarks


def test_a_name_that_is_no_text_is_told(gtzan):
    write(gtzan / "rock" / os.fsdecode(b"Caf\xe9.mp3"), "")
    with pytest.raises(CorpusError, match=r"the name 'rock/Caf\\udce9\.mp3' is not UTF-8; rename the file"):
        folders.read(gtzan)


def test_files_of_other_layouts_and_formats_are_read_or_named(gtzan):
    """By class and artist, in formats beside MP3; what is not read is counted, with examples."""
    for name in ("rock/Ann/a.aif", "rock/Bob/live/b.opus", "blues/c.CAF", "rock/d.m4a", "blues/e.wma", "rock/f.wma",
                 "loose.flac", "cover.jpg"):  # fmt: skip
        write(gtzan / name, "")
    clips, tags = folders.read(gtzan)
    read = {clip.path: tags.tags[row.argmax()] for clip, row in zip(clips, tags.values, strict=True)}
    assert read["rock/Ann/a.aif"] == read["rock/Bob/live/b.opus"] == "rock"
    assert read["blues/c.CAF"] == "blues"
    assert len(read) == 6
    assert {clip.shard for clip in clips} == {"blues", "rock", "rock_Ann-ef30d5", "rock_Bob_live-0f9f62"}
    assert told(folders.read, gtzan) == [
        f"warning: 2 files lie in {gtzan} itself, in no folder of a class, and are left out: 'loose.flac', 'x.wav'",
        "2 files lie in folders within that of their class, whose tag they have: 'rock/Ann/a.aif', "
        "'rock/Bob/live/b.opus'",
        "warning: music of formats that are not decoded is left out, convert it: 2 .wma ('blues/e.wma'), 1 .m4a "
        "('rock/d.m4a')",
        "no music by their endings: 1 .jpg, 1 .txt",
    ]


def test_a_folder_without_clips_says_what_lies_there_instead(tmp_path):
    for folder, name, says in (
        ("flat", "a.mp3", r"'a\.mp3' and 0 more lie in it, but in no folder of a class"),
        ("apple", "rock/a.m4a", r"of 'rock/a\.m4a' and 0 more the format is not decoded: convert them"),
        ("text", "rock/a.txt", r"\.wave\)$"),
    ):
        write(tmp_path / folder / name, "")
        with pytest.raises(CorpusError, match=says):
            folders.read(tmp_path / folder)
    with pytest.raises(CorpusError, match="it is a file, not a folder"):
        folders.read(tmp_path / "flat/a.mp3")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("blues.00000.wav", "it lies in another folder"),
        ("Blues/blues.00000.wav", "its letters' case differs"),
        ("blues/blues.00000.mp3", "its ending differs"),
    ],
)
def test_an_index_that_matches_nothing_says_what_may_be_wrong(gtzan, tmp_path, path, why):
    index = write(tmp_path / "artists.csv", f"path,artist\n{path},Ann\n")
    with pytest.raises(CorpusError, match=f"'blues/blues.00000.wav' is there: {why}"):
        folders.read(gtzan, {}, index)


@pytest.mark.parametrize("head", ["", "path;artist\n", "File;Artist\n"])
def test_an_index_may_have_a_header_and_semicolons(gtzan, tmp_path, head):
    text = head + "blues\\blues.00000.wav;Simon, Garfunkel\nrock/rock.00000.mp3;Ann\n"
    index = write(tmp_path / "artists.csv", text)
    assert [clip.artist for clip in folders.read(gtzan, {}, index)[0]] == [
        "Simon, Garfunkel", "blues/blues.00001.au", "Ann",
    ]  # fmt: skip
    remarks = told(folders.read, gtzan, {}, index)
    assert f"{index}: its cells are separated by ';'" in remarks
    assert f"{index}: 2 of 2 rows match a file" in remarks
    assert (
        f"warning: {index}: 2 of 3 files have an artist, not 'blues/blues.00001.au': each of these counts as an artist "
        "of its own" in remarks
    )


def test_a_row_of_the_index_that_cannot_be_used_is_named_with_its_line(gtzan, tmp_path):
    fine = "rock/rock.00000.mp3,Ann\n"
    for row, says in (
        ("blues/blues.00000.wav", "line 2: path and artist expected, got 1 cells"),
        ("blues/blues.00000.wav,Simon,Paul", "line 2: path and artist expected, got 3 cells; a name with a comma"),
        ('blues/blues.00000.wav,"Simon', "line 2: unexpected end of data"),
        ("rock/rock.00000.mp3,Bob", "line 2: 'rock/rock.00000.mp3' is by 'Bob', but an earlier row has 'Ann'"),
    ):
        with pytest.raises(CorpusError, match=says):
            folders.read(gtzan, {}, write(tmp_path / "artists.csv", fine + row))


def test_lists_that_match_in_part_say_how_much(gtzan, tmp_path):
    lists = {"train": write(tmp_path / "train.txt", "rock/rock.00000.mp3\r\n\r\nrock\\rock.00007.mp3\r\n")}
    assert [clip.split for clip in folders.read(gtzan, lists)[0]] == ["train"]
    remarks = told(folders.read, gtzan, lists)
    assert f"{lists['train']}: 1 of 2 rows match a file" in remarks
    assert (
        "2 of 3 files are in none of the lists and left out: 'blues/blues.00000.wav', 'blues/blues.00001.au'" in remarks
    )
