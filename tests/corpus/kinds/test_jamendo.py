"""MTG-Jamendo's tables: tracks, splits and tags, and what is wrong with them by name."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.corpora import HEADER, write

from earmark.corpus.kinds import jamendo
from earmark.corpus.manifest import CorpusError


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


def test_jamendos_errors_name_keys_that_are_there(metadata):
    with pytest.raises(CorpusError, match=r"^corpus\.jamendo\.subset must be one of"):
        jamendo.read(metadata, subset="rock")
    with pytest.raises(
        CorpusError, match=r"^corpus\.annotations: .*does not exist; is it the repository's data folder"
    ):
        jamendo.read(metadata)


def test_a_track_of_the_smaller_edition_is_found_by_its_name_and_a_missing_one_stays_to_be_counted(metadata):
    audio = metadata / "audio"
    write(audio / "14/214.low.mp3", "")
    for name in ("15/215.mp3", "15/215.low.mp3"):  # both: the tables' own
        write(audio / name, "")
    write(audio / "16/216.low.mp3", "")
    last = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    known = last.read_text().splitlines()[-1]
    last.write_text(last.read_text() + known.replace("216", "217").replace("16/", "17/") + "\n")
    clips, _ = jamendo.read(metadata, split=2, audio=audio)
    assert [(c.clip_id, c.path, c.shard) for c in clips] == [
        ("track_0000214", "14/214.low.mp3", "14"),
        ("track_0000215", "15/215.mp3", "15"),
        ("track_0000216", "16/216.low.mp3", "16"),
        ("track_0000217", "17/217.mp3", "17"),
    ]


def test_a_folder_without_any_track_is_not_the_audio(metadata):
    write(metadata / "raw/audio/14/214.low.mp3", "")
    told = r"corpus\.audio: .*raw holds none of the 3 tracks, neither 14/214\.mp3 nor 14/214\.low\.mp3; .* 00 to 99"
    with pytest.raises(CorpusError, match=told):
        jamendo.read(metadata, split=2, audio=metadata / "raw")


@pytest.mark.parametrize("tag", ["", "rock", "genre---", "---rock", "genre--- "])
def test_a_tag_without_its_category_or_its_name_is_refused_with_the_line(metadata, tag):
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(f"{file.read_text().rstrip()}\t{tag}\n")
    with pytest.raises(CorpusError, match=rf"test\.tsv, line 2: a tag must be category---name, .* got '{tag}'"):
        jamendo.read(metadata, split=2)


def test_tags_that_would_have_one_name_are_refused(metadata):
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(f"{file.read_text().rstrip()}\tx---dark (instrument)\n")
    with pytest.raises(CorpusError, match=r"'x---dark \(instrument\)'.* would both be named 'dark \(instrument\)'"):
        jamendo.read(metadata, split=2)


def test_a_path_that_no_file_can_have_is_named_with_its_line(metadata):
    file = metadata / "splits/split-2/autotagging_top50tags-test.tsv"
    file.write_text(file.read_text().replace("16/216.mp3", f"{'x' * 300}.mp3"))
    write(metadata / "audio/14/214.mp3", "")
    with pytest.raises(CorpusError, match=r"test\.tsv, line 2: a name must be at most 255 bytes long, got 304"):
        jamendo.read(metadata, split=2, audio=metadata / "audio")
