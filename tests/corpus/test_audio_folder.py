"""Which file a path of a table means, what it may be meant for if there is none, and how much of a table matches."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from helpers.corpora import write

from earmark.corpus.audio_folder import AudioFolder, Matches, of_a_system, safe
from earmark.corpus.manifest import CorpusError
from earmark.corpus.notes import collected

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Sigur Rós/Ágætis.wav") for form in ("NFC", "NFD"))


@pytest.fixture
def folder(tmp_path):
    for path in ("rock/One.wav", "rock/two.flac", "jazz/deep/three.mp3", DECOMPOSED, "notes.txt", "loose.wav"):
        write(tmp_path / "audio" / path, "")
    return tmp_path / "audio"


@pytest.mark.parametrize(
    "path",
    [
        "._a.mp3", ".Trash-1000/1.mp3", "rock/.hidden/1.mp3", "__MACOSX/a.mp3", "@eaDir/1.mp3", "$RECYCLE.BIN/a.mp3",
        "lost+found/a.mp3", "rock/.DS_Store",
    ],
)  # fmt: skip
def test_files_of_operating_systems_are_no_music_wherever_they_lie(folder, path):
    before = AudioFolder.of(folder).files
    write(folder / path, "")
    found = AudioFolder.of(folder)
    assert of_a_system(path)
    assert found.files == before
    assert found.of_systems == 1
    assert not of_a_system("rock.and.roll/a.b.mp3")


def test_a_walk_is_sorted_enters_a_loop_once_and_names_it(folder):
    (folder / "rock/again").symlink_to(folder)
    found = AudioFolder.of(folder)
    assert found.files == [
        DECOMPOSED, "jazz/deep/three.mp3", "loose.wav", "notes.txt", "rock/One.wav", "rock/two.flac",
    ]  # fmt: skip
    assert found.loops == ["rock/again"]
    assert "notes.txt" not in found.audio
    assert AudioFolder.of(folder / "nowhere").files == []


def test_a_folder_is_found_by_its_own_name_and_links_to_it_are_told(folder):
    (folder / "again").symlink_to(folder / "rock")
    (folder / "jazz/all").symlink_to(folder / "rock")
    (folder.parent / "elsewhere").mkdir()
    write(folder.parent / "elsewhere/four.wav", "")
    (folder / "blues").symlink_to(folder.parent / "elsewhere")
    found = AudioFolder.of(folder)
    assert "rock/One.wav" in found.files
    assert "blues/four.wav" in found.files
    assert not [path for path in found.files if path.startswith(("again/", "jazz/all/"))]
    assert sorted(found.loops) == ["again", "jazz/all"]
    with collected() as remarks:
        found.tell()
    assert remarks == [
        f"2 links below {folder} lead to folders that are there, and are not followed: 'again', 'jazz/all'"
    ]


def test_folders_that_cannot_be_entered_are_told_by_name():
    found = AudioFolder(Path("music"), unreadable={f"{n}": "Permission denied" for n in range(4)})
    with collected() as remarks:
        found.tell()
    (line,) = remarks
    assert line == (
        "warning: folders below music cannot be entered: '0': Permission denied; '1': Permission denied; "
        "'2': Permission denied and 1 more"
    )


@pytest.mark.parametrize(
    ("path", "file", "how"),
    [
        ("rock/One.wav", "rock/One.wav", ""),
        ("./rock//One.wav", "rock/One.wav", ""),
        ("rock\\One.wav", "rock/One.wav", "have backslashes for slashes"),
        ("jazz\\deep\\three.mp3", "jazz/deep/three.mp3", "have backslashes for slashes"),
        (COMPOSED, DECOMPOSED, "have letters in another normal form of Unicode"),
        (COMPOSED.replace("/", "\\"), DECOMPOSED,
         "have backslashes for slashes; have letters in another normal form of Unicode"),
    ],
)  # fmt: skip
def test_a_path_means_a_file_by_a_safe_reading(folder, path, file, how):
    assert AudioFolder.of(folder).find(path) == (file, how)


def test_a_file_whose_name_has_a_backslash_is_itself(folder):
    write(folder / "rock\\One.wav", "")
    assert AudioFolder.of(folder).find("rock\\One.wav") == ("rock\\One.wav", "")


def test_two_files_in_two_normal_forms_are_not_guessed_between(folder):
    write(folder / "x/e\u0301\u0323.wav", "")
    write(folder / "x/e\u0323\u0301.wav", "")
    assert AudioFolder.of(folder).find("x/\u1eb9\u0301.wav") == ("", "")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("Rock/one.WAV", "'rock/One.wav' is there: its letters' case differs"),
        ("rock/One.au", "'rock/One.wav' is there: its ending differs"),
        ("One.wav", "'rock/One.wav' is there: it lies in another folder"),
        ("audio/rock/One.wav", "'rock/One.wav' is there: it lies in another folder"),
        ("C:\\music\\One.wav", "'rock/One.wav' is there: it lies in another folder"),
        ("One.mp3", "'rock/One.wav' is there: its folder and its ending differ"),
        ("rock/One.wav;Ann", "'rock/One.wav' is there: the cells are separated by another sign"),
        ("pop/four.wav", ""),
        ("", ""),
    ],
)
def test_a_near_miss_is_hinted_at(folder, path, hint):
    assert AudioFolder.of(folder).hint(path) == hint


def test_an_absolute_path_and_one_in_another_encoding_are_hinted_at(folder):
    found = AudioFolder.of(folder)
    assert found.hint(f"{folder}/rock/One.wav") == f"'rock/One.wav' is there: paths begin below {folder}"
    write(folder / os.fsdecode(b"rock/Caf\xe9.wav"), "")
    assert "its name on the disk is not UTF-8" in AudioFolder.of(folder).hint("rock/Café.wav")


@pytest.mark.parametrize("path", ["", ".", "/etc/passwd", "../x.wav", "a/../../x.wav", "a\0b"])
def test_no_path_leaves_the_folder(path):
    with pytest.raises(CorpusError, match=r"^here: the path must lie inside the audio folder"):
        safe(path, "here")


def matched(folder, *paths):
    """What is read of the paths, and what is told of it."""
    with collected() as told:
        matches = Matches("t.csv", AudioFolder.of(folder))
        read = [matches.read(path, f"t.csv, line {number}") for number, path in enumerate(paths, 2)]
        matches.tell()
    return read, told


def test_all_rows_that_match_are_one_line(folder):
    read, told = matched(folder, "rock/One.wav", "./rock/two.flac")
    assert read == [("rock/One.wav", "rock/One.wav"), ("rock/two.flac", "rock/two.flac")]
    assert told == ["t.csv: 2 of 2 rows match a file"]


def test_what_is_read_otherwise_is_counted_and_the_id_is_the_tables(folder):
    read, told = matched(folder, COMPOSED, "rock\\One.wav", "rock\\two.flac")
    assert read[0] == (COMPOSED, DECOMPOSED)
    assert read[1] == ("rock/One.wav", "rock/One.wav")
    assert told == [
        f"t.csv: 1 of 3 paths have letters in another normal form of Unicode; their files are found: {COMPOSED!r}",
        "t.csv: 2 of 3 paths have backslashes for slashes; their files are found: 'rock\\\\One.wav' and 1 more",
        "t.csv: 3 of 3 rows match a file",
    ]


def test_some_rows_without_a_file_are_a_warning_with_examples(folder):
    read, told = matched(folder, "rock/One.wav", "rock/one.wav", *(f"pop/{i}.wav" for i in range(4)))
    assert len(read) == 6
    assert told == [
        "t.csv: 1 of 6 rows match a file",
        "warning: t.csv: 5 rows match no file: t.csv, line 3: 'rock/one.wav' ('rock/One.wav' is there: its letters' "
        "case differs); t.csv, line 4: 'pop/0.wav'; t.csv, line 5: 'pop/1.wav'; and 2 more",
    ]


def test_a_table_of_which_no_row_matches_is_an_error(folder):
    with pytest.raises(CorpusError, match=r"none of its 2 paths is below .*, the first being 'One.wav' where 'rock/"):
        matched(folder, "One.wav", "two.flac")
    (folder / "nothing").mkdir()
    with pytest.raises(CorpusError, match=r"the first being 'One.wav': no music is there"):
        matched(folder / "nothing", "One.wav")


def test_rows_of_operating_systems_are_left_out_and_named(folder):
    read, told = matched(folder, "rock/One.wav", "rock/._One.wav", ".Trash-1000/1.wav")
    assert read[1:] == [None, None]
    assert told[0] == (
        "warning: t.csv: 2 of 3 rows name files of an operating system and are left out: t.csv, line 3: "
        "'rock/._One.wav' and 1 more"
    )


def test_without_an_audio_folder_a_table_is_read_as_it_stands():
    matches = Matches("t.csv", None)
    assert matches.read("rock//a.wav", "line 2") == ("rock/a.wav", "rock/a.wav")
    matches.tell()
    with pytest.raises(CorpusError, match="must have forward slashes"):
        matches.read("rock\\a.wav", "line 3")
