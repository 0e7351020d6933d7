from __future__ import annotations

import numpy as np
import pytest

from earmark.labels import positives, read_labels, select, summary, top_tags, write_labels
from earmark.manifest import Clip, CorpusError, TagTable


def clips(splits: str) -> list[Clip]:
    names = {"t": "train", "v": "valid", "e": "test"}
    return [Clip(str(i), f"0/{i}.mp3", "0", f"song{i // 2}", f"artist{i // 4}", names[s]) for i, s in enumerate(splits)]


def table(values: list[list[int]]) -> TagTable:
    array = np.array(values, np.uint8)
    return TagTable(tuple(map(str, range(len(values)))), tuple("abcd"[: array.shape[1]]), array)


def test_most_frequent_tags_come_first_and_ties_keep_the_columns_order():
    chosen = top_tags(table([[0, 1, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]), 3)
    assert chosen.tags == ("b", "c", "d")
    np.testing.assert_array_equal(chosen.values, [[1, 1, 0], [1, 0, 1], [0, 1, 0]])


def test_counts_do_not_overflow_eight_bits():
    many = TagTable(tuple(map(str, range(300))), ("rare", "common"), np.tile(np.uint8([0, 1]), (300, 1)))
    many.values[:40, 0] = 1  # 300 modulo 256 is 44
    many.values[40:50, 0] = 1
    assert top_tags(many, 1).tags == ("common",)


def test_clean_leaves_out_clips_without_any_tag_and_counts_them():
    everything = clips("tttvve")
    values = table([[1, 0], [0, 0], [0, 1], [1, 0], [0, 0], [1, 1]])
    kept, chosen = select(everything, values, 2, clean=True)
    assert [c.clip_id for c in kept] == ["0", "2", "3", "5"]
    assert summary(kept, chosen, len(everything))["without_tags"] == 2
    assert len(select(everything, values, 2, clean=False)[0]) == 6


def test_a_split_without_clips_is_an_error():
    with pytest.raises(CorpusError, match="the valid split has no clip left out of 3"):
        select(clips("tte"), table([[1], [1], [1]]), 1, clean=True)


def test_the_summary_counts_leaks_and_tags_without_positives():
    counted = summary(clips("ttvvte"), table([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1], [1, 0]]), 6)
    assert counted["train"] == {"clips": 3, "songs": 2, "tags_without_positives": 0}
    assert counted["valid"]["tags_without_positives"] == 1
    assert counted["songs_in_several_splits"] == 1  # song2: clip 4 in train, clip 5 in test
    assert counted["artists_in_several_splits"] == 2


def test_positives_are_counted_per_split():
    rows = positives(clips("ttve"), table([[1, 0], [1, 1], [0, 1], [0, 0]]))
    assert rows == [["a", 2, 0, 0], ["b", 1, 1, 0]]


def test_labels_survive_the_round_trip(tmp_path):
    write_labels(tmp_path / "labels.csv", clips("tv"), table([[1, 0], [0, 1]]))
    who, again = read_labels(tmp_path / "labels.csv")
    assert who[1] == ("1", "song0", "artist0", "valid")
    assert again.tags == ("a", "b")
    np.testing.assert_array_equal(again.values, [[1, 0], [0, 1]])
