"""MagnaTagATune's annotations become clips and tags; what is wrong with them is named with its line."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.magnatagatune import MERGED
from helpers.music import write_annotations

from earmark.corpus.kinds.magnatagatune import folder_split, read
from earmark.corpus.manifest import CorpusError

PATH = "f/american_bach_soloists-j_s__bach_solo_cantatas-01-bwv54__i_aria-30-59.mp3"


@pytest.fixture
def audio(tmp_path):
    (tmp_path / "audio" / "f").mkdir(parents=True)
    (tmp_path / "audio" / PATH).write_bytes(b"")
    return tmp_path / "audio"


def test_song_artist_shard_and_split_come_from_the_path(audio, tmp_path):
    annotations = write_annotations(tmp_path / "a.csv", ["opera", "no vocals"], [("2", [1, 0], PATH)])
    (clip,), table = read(audio, annotations)
    assert clip.song == "f/american_bach_soloists-j_s__bach_solo_cantatas-01-bwv54__i_aria"
    assert (clip.clip_id, clip.path, clip.artist) == ("2", PATH, "american_bach_soloists")
    assert (clip.shard, clip.split) == ("f", "test")
    assert table.tags == ("opera", "no vocals")
    np.testing.assert_array_equal(table.values, [[1, 0]])


def test_folders_are_split_as_in_the_literature():
    splits = [folder_split(f) for f in "0123456789abcdef"]
    assert splits == ["train"] * 12 + ["valid"] + ["test"] * 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("2", [1], PATH), ("2", [1], PATH)], r"line 3: clip_id 2 stands in line 2 already"),
        (
            [("2", [1], "../f/x-0-29.mp3")],
            r"line 2: the path must lie inside the audio folder, got '\.\./f/x-0-29\.mp3'",
        ),
        ([("2", [1], "/etc/passwd")], r"must lie inside the audio folder, got '/etc/passwd'"),
        ([("2", [1], "f/../../x.mp3")], r"inside the audio folder"),
        ([("2", [1], "g/x-0-29.mp3")], r"folder of mp3_path must be one of 0-9 a-f, got 'g'"),
        ([("2", [2], PATH)], r"line 2: tag 'opera' must be 0 or 1, got '2'"),
        ([("2", [1, 0], PATH)], r"line 2: 3 columns expected, got 4"),
        ([], r"no clip below the header"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(audio, tmp_path, rows, message):
    with pytest.raises(CorpusError, match=message):
        read(audio, write_annotations(tmp_path / "a.csv", ["opera"], rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"clip"\t"opera"\t"mp3_path"\n', r"the first of the TAB-separated columns must be clip_id"),
        ('"clip_id"\t"opera"\n', r"the last of the TAB-separated columns must be mp3_path"),
        ("clip_id,opera,mp3_path\n", r"the first of the TAB-separated columns must be clip_id"),
        ('"clip_id"\t"mp3_path"\n', r"needs tag columns"),
        ('"clip_id"\t"a"\t"a"\t"mp3_path"\n', r"needs tag columns, each once"),
        ("", r"columns must be clip_id"),
    ],
)
def test_a_wrong_header_is_named(audio, tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        read(audio, tmp_path / "a.csv")


def test_text_that_is_not_utf8_is_an_error_with_its_place(audio, tmp_path):
    (tmp_path / "a.csv").write_bytes(b'"clip_id"\t"op\xe9ra"\t"mp3_path"\n')
    with pytest.raises(CorpusError, match=r"a\.csv is not UTF-8 at byte 13"):
        read(audio, tmp_path / "a.csv")


def test_missing_places_are_named(audio, tmp_path):
    with pytest.raises(CorpusError, match=r"corpus\.annotations: .*gone\.csv does not exist"):
        read(audio, tmp_path / "gone.csv")
    (tmp_path / "empty" / "0").mkdir(parents=True)
    with pytest.raises(CorpusError, match=r"corpus\.audio: .*empty holds no folder with MP3 files"):
        read(tmp_path / "empty", tmp_path / "gone.csv")


def test_the_full_size_annotations_are_read_with_their_published_counts(audio):
    if not MERGED.is_file():
        pytest.skip("MagnaTagATune's metadata is not beside the project")
    clips, table = read(audio, MERGED)
    assert len(clips) == 25_863
    assert len(table.tags) == 50
    tagged = table.values.any(axis=1)
    counts = {s: sum(c.split == s for c in clips) for s in ("train", "valid", "test")}
    clean = {s: sum(c.split == s and t for c, t in zip(clips, tagged, strict=True)) for s in counts}
    assert counts == {"train": 18_709, "valid": 1_825, "test": 5_329}
    assert clean == {"train": 15_428, "valid": 1_538, "test": 4_392}
    assert len({c.song for c in clips}) == 5_405
    assert len({c.artist for c in clips}) == 230
