"""MTG-Jamendo's tables: tracks, splits and tags, and what is wrong with them by name."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.corpora import HEADER

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
