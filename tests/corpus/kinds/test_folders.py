"""A folder per class: its files, the lists of splits and the index of artists."""

from __future__ import annotations

import os

import numpy as np
import pytest
from helpers.corpora import write

from earmark.corpus.kinds import folders
from earmark.corpus.manifest import CorpusError


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


def test_hidden_files_are_no_clips_and_a_name_that_is_no_text_is_told(gtzan):
    write(gtzan / "rock/._rock.00000.mp3", "")
    assert len(folders.read(gtzan)[0]) == 3
    write(gtzan / "rock" / os.fsdecode(b"Caf\xe9.mp3"), "")
    with pytest.raises(CorpusError, match=r"the name 'rock/Caf\\udce9\.mp3' is not UTF-8; rename the file"):
        folders.read(gtzan)
