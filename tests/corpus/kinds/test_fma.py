"""FMA's tables: subsets, genres, the official split, the clips that are known to be broken, and what is refused."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from helpers.corpora import write

from earmark.config import CorpusConfig
from earmark.corpus import registry
from earmark.corpus.kinds import fma
from earmark.corpus.manifest import CorpusError

HEAD = [
    ["", "artist", "artist", "set", "set", "track", "track", "track"],
    ["", "bio", "id", "split", "subset", "genre_top", "genres", "genres_all"],
    ["track_id", "", "", "", "", "", "", ""],
]
TRACKS = [
    [2, 'two\nlines, "quoted"', 1, "training", "medium", "Hip-Hop", "[21]", "[21]"],
    [5, "x" * 200_000, 1, "training", "small", "Hip-Hop", "[21]", "[21]"],
    [10140, "", 2, "validation", "small", "Folk", "[17, 538]", "[17, 538]"],
    [155066, "", 3, "test", "large", "", "[17, 21]", "[17, 21]"],
]
GENRES = [["genre_id", "#tracks", "parent", "title", "top_level"], [17, 1, 0, "Folk", 17], [21, 1, 0, "Hip-Hop", 21],
          [538, 1, 17, "Singer, Songwriter", 17]]  # fmt: skip


@pytest.fixture
def metadata(tmp_path):
    tables(tmp_path, TRACKS)
    write(tmp_path / "audio/000/000005.mp3", "")
    return tmp_path


def tables(folder, tracks, head=HEAD):
    for name, rows in (("tracks", [*head, *tracks]), ("genres", GENRES)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)


def test_a_subset_is_read_with_its_top_genres_artists_and_official_split(metadata):
    clips, tags = fma.read(metadata / "audio", metadata)
    assert [(c.clip_id, c.path, c.shard, c.artist, c.split) for c in clips] == [
        ("000005", "000/000005.mp3", "000", "1", "train"),
        ("010140", "010/010140.mp3", "010", "2", "valid"),
    ]
    assert tags.tags == ("Hip-Hop", "Folk")
    np.testing.assert_array_equal(tags.values, [[1, 0], [0, 1]])
    assert csv.field_size_limit() < 10**6, "the limit of the process is what it was"


@pytest.mark.parametrize(
    ("subset", "ids"), [("medium", "000002 000005 010140"), ("large", "000002 000005 010140 155066"), ("full", None)]
)
def test_a_larger_subset_holds_the_smaller_ones(metadata, subset, ids):
    clips, _ = fma.read(metadata / "audio", metadata, subset)
    assert " ".join(c.clip_id for c in clips) == (ids or "000002 000005 010140 155066")


def test_all_genres_are_those_of_the_hierarchy_and_a_track_without_a_top_genre_has_no_tag(metadata):
    audio = metadata / "audio"
    clips, tags = fma.read(audio, metadata / "tracks.csv", "large", "all")
    assert tags.tags == ("Hip-Hop", "Folk", "Singer, Songwriter")
    np.testing.assert_array_equal(tags.values, [[1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]])
    assert clips[0].split == "train"
    assert fma.read(audio, metadata, "large")[1].values.sum(axis=1).tolist() == [1, 1, 1, 0]


def test_params_yaml_chooses_and_the_broken_clips_are_expected(metadata):
    config = CorpusConfig.model_validate(
        {"kind": "fma", "audio": metadata / "audio", "annotations": metadata, "fma": {"subset": "medium"}}
    )
    assert len(registry.module("fma").corpus(config)[0]) == 3
    broken = registry.broken("fma")
    assert {"133/133297.mp3", "099/099134.mp3", "108/108925.mp3", "001/001486.mp3"} < broken
    assert len(broken) == 21


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (3, "dev", r"tracks\.csv, line 4: set / split must be one of training, validation, test, got 'dev'"),
        (4, "huge", r"line 4: set / subset must be one of small, .*, got 'huge'"),
        (0, "x", r"line 4: track_id must be a number of less than 10 digits, got 'x'"),
        (7, "[9]", r"line 4: track / genres_all must be a list of numbers of genres\.csv, .* got '\[9\]'"),
        (7, "21", r"line 4: track / genres_all must be a list"),
        (7, "{}", r"line 4: track / genres_all must be a list"),
        (7, '""', r"line 4: track / genres_all must be a list"),
        (7, "[true]", r"line 4: track / genres_all must be a list"),
        (7, "[" * 100_000, r"line 4: track / genres_all must be a list"),
        (0, "9" * 5_000, r"line 4: track_id must be a number of less than 10 digits, got '9999"),
    ],
)
def test_what_is_wrong_with_a_track_is_told_with_its_line(metadata, place, value, told):
    row = [*TRACKS[1][:1], "", *TRACKS[1][2:]]
    tables(metadata, [[*row[:place], value, *row[place + 1 :]]])
    with pytest.raises(CorpusError, match=told):
        fma.read(metadata / "audio", metadata, genres="all")


def test_a_line_is_counted_where_it_begins_though_cells_go_over_several(metadata):
    tables(metadata, [*TRACKS[:1], TRACKS[1][:4]])
    with pytest.raises(CorpusError, match=r"tracks\.csv, line 6: 8 columns expected, got 4"):
        fma.read(metadata / "audio", metadata)


def test_a_table_of_another_form_is_refused_by_name(metadata):
    tables(metadata, TRACKS, [HEAD[0], [*HEAD[1][:3], "splits", *HEAD[1][4:]], HEAD[2]])
    with pytest.raises(CorpusError, match=r"column set / split is missing"):
        fma.read(metadata / "audio", metadata)
    tables(metadata, TRACKS, HEAD[:2])
    with pytest.raises(CorpusError, match=r"line 3: it must begin with track_id, got \['2'\]"):
        fma.read(metadata / "audio", metadata)
    write(metadata / "tracks.csv", 'a,"b" c\n')
    with pytest.raises(CorpusError, match=r"tracks\.csv, line 1: .* expected after"):
        fma.read(metadata / "audio", metadata)
    (metadata / "tracks.csv").write_bytes(b"a,\xff\n")
    with pytest.raises(CorpusError, match="is not UTF-8"):
        fma.read(metadata / "audio", metadata)
    (metadata / "genres.csv").write_text("id\n")
    with pytest.raises(CorpusError, match=r"genres\.csv: it must have the columns genre_id and title, got id"):
        fma.read(metadata / "audio", metadata, genres="all")


def test_places_that_hold_something_else_are_named_with_their_keys(metadata):
    with pytest.raises(CorpusError, match=r"^corpus\.annotations: .*audio/tracks\.csv does not exist; is it fma_meta"):
        fma.read(metadata / "audio", metadata / "audio")
    with pytest.raises(CorpusError, match=r"^corpus\.audio: .* none of the 2 tracks of small, .* 000/000005\.mp3"):
        fma.read(metadata, metadata)
    with pytest.raises(CorpusError, match=r"subset must be one of small, .* got 'huge'"):
        fma.read(metadata, metadata, "huge")


@pytest.mark.parametrize(
    ("genres", "told"),
    [
        ([], r"genres\.csv holds no genre below its header"),
        ([[17, 1, 0, " ", 17]], r"genres\.csv, line 2: a number and a title expected"),
        ([[17, 1, 0, "Folk", 17], [17, 1, 0, "Rock", 17]], r"line 3: genre 17 is in an earlier line, too: 'Folk'"),
    ],
)
def test_genres_that_are_none_or_stand_twice_are_refused(metadata, genres, told):
    with (metadata / "genres.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([GENRES[0], *genres])
    with pytest.raises(CorpusError, match=told):
        fma.read(metadata / "audio", metadata, genres="all")


def test_two_genres_of_one_title_stay_two(metadata):
    with (metadata / "genres.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([*GENRES[:3], [538, 1, 17, "Folk", 17]])
    assert fma.read(metadata / "audio", metadata, genres="all")[1].tags == ("Hip-Hop", "Folk (17)", "Folk (538)")


def test_a_column_that_stands_twice_is_refused(metadata):
    tables(metadata, [[*row, 1] for row in TRACKS], [[*HEAD[0], "artist"], [*HEAD[1], "id"], [*HEAD[2], ""]])
    with pytest.raises(CorpusError, match=r"column artist / id stands in its first two lines more than once"):
        fma.read(metadata / "audio", metadata)
