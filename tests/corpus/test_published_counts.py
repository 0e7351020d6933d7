"""The published counts: MagnaTagATune has them, an edited copy is refused, and other corpora are not compared."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.magnatagatune import MERGED, TABLES, one_clip

from earmark.corpus import published_counts
from earmark.corpus.kinds import magnatagatune
from earmark.corpus.manifest import Clip, CorpusError, TagTable
from earmark.corpus.published_counts import EXPECTED, counts, verify

needs_mtat = pytest.mark.skipif(not TABLES.is_dir(), reason="MagnaTagATune's tables are not at hand")


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    return magnatagatune.read(one_clip(tmp_path_factory.mktemp("audio")), MERGED)


def small(clips: int, tags: list[str]) -> tuple[list[Clip], TagTable]:
    rows = [Clip(str(i), f"0/a-b-01-{i}-0-29.mp3", "0", f"song {i}", "a", "train") for i in range(clips)]
    return rows, TagTable(tuple(c.clip_id for c in rows), tuple(tags), np.ones((clips, len(tags)), np.uint8))


def test_the_table_adds_up():
    totals = {
        "all rows": 25_863,
        "without the broken files": 25_860,
        "with a top-50 tag": 21_108,
        "with a top-50 tag, without the broken files": 21_105,
        "with a merged top-50 tag": 21_358,
    }
    for name, total in totals.items():
        assert sum(EXPECTED[name]) == total


@needs_mtat
def test_the_merged_annotations_have_the_published_counts_and_they_are_printed(merged):
    lines = verify(*merged)
    assert [line.split()[-4:] for line in lines[1:4]] == [
        ["18,709", "1,825", "5,329", "25,863"], ["18,706", "1,825", "5,329", "25,860"],
        ["15,428", "1,538", "4,392", "21,358"],
    ]  # fmt: skip
    assert lines[-1] == "5,405 songs, 230 artists: as published"


@needs_mtat
def test_a_table_that_was_edited_is_refused_with_the_count(merged):
    clips, table = merged
    one = next(clip for clip in clips if clip.split == "train")
    moved = [replace(clip, split="test") if clip is one else clip for clip in clips]
    with pytest.raises(CorpusError, match=r"all rows: \[18708, 1825, 5330\] where \[18709, 1825, 5329\] are published"):
        verify(moved, table)


@needs_mtat
def test_the_raw_top_50_is_counted_where_all_188_tags_are_there():
    with (TABLES / "top50_valid_test.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    columns = json.loads((TABLES / "tag_columns_188.json").read_text())
    values = np.zeros((len(rows), 188), np.uint8)
    values[:, [columns.index(tag) for tag in header[2:-1]]] = np.array([row[2:-1] for row in rows], np.uint8)
    clips = [Clip(row[0], row[-1], "", "", "", row[1]) for row in rows]
    found = counts(clips, TagTable(tuple(row[0] for row in rows), tuple(columns), values))
    assert found["with a top-50 tag"] == (0, 1_529, 4_332)
    assert found["all rows"] == (0, 1_825, 5_329)


def test_of_other_corpora_nothing_is_asserted_and_absent_tags_are_not_counted(monkeypatch):
    assert verify(*small(12, ["guitar"])) == []
    assert set(counts(*small(12, ["guitar"]))) == {"all rows", "without the broken files"}
    monkeypatch.setattr(published_counts, "ROWS", 12)
    with pytest.raises(CorpusError, match=r"12 rows, but not MagnaTagATune's: .*1 artists where 230 are published"):
        verify(*small(12, ["guitar"]))
