"""Labels: synonyms are merged, the most frequent tags are chosen, leaks and empty splits are reported."""

from __future__ import annotations

import csv
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from helpers import ROOT
from helpers.magnatagatune import MERGED, TABLES, one_clip

from earmark.corpus.kinds import magnatagatune
from earmark.corpus.label_table import read_labels, write_labels
from earmark.corpus.labels import merge, positives_per_tag, read_synonyms, select, summary, top_tags, warnings
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable, read_tags, write_tags
from earmark.corpus.rows import Row, tabulate
from earmark.corpus.splits import deal
from earmark.errors import EarmarkError

needs_mtat = pytest.mark.skipif(not TABLES.is_dir(), reason="MagnaTagATune's tables are not at hand")
SHIPPED = ROOT / "src/earmark/corpus/synonyms"


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
    rows = positives_per_tag(clips("ttve"), table([[1, 0], [1, 1], [0, 1], [0, 0]]))
    assert rows == [["a", 2, 0, 0], ["b", 1, 1, 0]]


def test_a_tag_without_a_positive_in_a_split_is_a_warning_with_its_name():
    found = warnings(clips("ttve"), table([[1, 0, 1], [1, 1, 1], [0, 1, 1], [0, 0, 1]]))
    assert found == [
        "warning: 1 of 3 tags have no positive in the valid split: a",
        "warning: 2 of 3 tags have no positive in the test split: a, b",
    ]


def test_labels_survive_the_round_trip(tmp_path):
    write_labels(tmp_path / "labels.csv", clips("tv"), table([[1, 0], [0, 1]]))
    who, again = read_labels(tmp_path / "labels.csv")
    assert who[1] == ("1", "song0", "artist0", "valid")
    assert again.tags == ("a", "b")
    np.testing.assert_array_equal(again.values, [[1, 0], [0, 1]])


def test_labels_that_were_edited_by_hand_say_where_tags_are_edited(tmp_path):
    write_labels(tmp_path / "labels.csv", clips("tv"), table([[1, 0], [0, 1]]))
    (tmp_path / "labels.csv").write_text((tmp_path / "labels.csv").read_text().replace("valid,0,1", "valid,1,1"))
    told = r"labels\.csv is not what was written: .*edited by hand; tags are edited in .*`dvc repro labels`"
    with pytest.raises(EarmarkError, match=told):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("changed", "tags", "told"),
    [
        ({"split": "tset"}, "ab", r", row 3: split must be one of train, valid, test, got 'tset'"),
        ({"clip_id": "0"}, "ab", r", row 3: clip_id must be a text without NUL, in no other row, got '0'"),
        ({"clip_id": ""}, "ab", r", row 3: clip_id must be a text without NUL"),
        ({}, ["a", ""], r": each tag must have a name, got \['a', ''\]"),
    ],
)
def test_labels_that_no_stage_wrote_are_named(tmp_path, changed, tags, told):
    first, second = clips("tv")
    values = np.ones((2, len(tags)), np.uint8)
    write_labels(
        tmp_path / "labels.csv", [first, replace(second, **changed)], TagTable(("0", "1"), tuple(tags), values)
    )
    with pytest.raises(EarmarkError, match=rf"labels\.csv{told}"):
        read_labels(tmp_path / "labels.csv")


def test_a_group_is_merged_under_its_first_name_where_that_stood():
    merged = merge(table([[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 1]]), [["b", "d"]])
    assert merged.tags == ("a", "b", "c")
    np.testing.assert_array_equal(merged.values, [[0, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0]])


def test_groups_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(CorpusError, match=r"'x' of the group \['a', 'x'\] is none of the corpus's 2 tags"):
        merge(table([[0, 1]]), [["a", "x"]])
    for text, message in (
        ("- a", "list of groups"),
        ("- [a]", "two tags or more"),
        ("- [a, b]\n- [c, a]", "'a' in more"),
    ):
        (tmp_path / "groups.yaml").write_text(text)
        with pytest.raises(CorpusError, match=message):
            read_synonyms(tmp_path / "groups.yaml")
    with pytest.raises(CorpusError, match=r"synonyms: .*absent\.yaml does not exist"):
        read_synonyms(tmp_path / "absent.yaml")
    with pytest.raises(CorpusError, match=r"synonyms: .*cannot be read: Is a directory"):
        read_synonyms(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("- [café, cafe]".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"synonyms: .*latin\.yaml is not UTF-8 at byte 6"):
        read_synonyms(tmp_path / "latin.yaml")


def test_the_shipped_groups_are_29_and_nothing_is_merged_by_default():
    assert len(read_synonyms(SHIPPED / "magnatagatune.yaml")) == 29
    assert read_synonyms(SHIPPED / "none.yaml") == []


@needs_mtat
def test_the_shipped_groups_hold_tags_of_magnatagatune_and_leave_the_merged_vocabulary():
    columns = json.loads((TABLES / "tag_columns_188.json").read_text())
    groups = read_synonyms(SHIPPED / "magnatagatune.yaml")
    merged = merge(TagTable(("1",), tuple(columns), np.zeros((1, 188), np.uint8)), groups)
    assert len(merged.tags) == 188 - sum(len(group) - 1 for group in groups)
    with MERGED.open(encoding="utf-8", newline="") as file:
        wanted = next(csv.reader(file, delimiter="\t"))[1:-1]
    assert set(wanted) <= set(merged.tags)


@needs_mtat
def test_the_merged_corpus_has_its_published_counts(tmp_path):
    everything, tags = magnatagatune.read(one_clip(tmp_path), MERGED)
    kept, chosen = select(everything, tags, 50, clean=True)
    assert len(everything) == 25_863
    assert len(kept) == 21_358
    counted = summary(kept, chosen, len(everything))
    assert [counted[split]["clips"] for split in ("train", "valid", "test")] == [15_428, 1_538, 4_392]
    assert counted["without_tags"] == 25_863 - 21_358


@needs_mtat
def test_the_raw_top_50_of_valid_and_test_has_its_published_counts_and_merges_into_the_merged_one():
    with (TABLES / "top50_valid_test.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    tags, values = header[2:-1], np.array([row[2:-1] for row in rows], np.uint8)
    assert len(tags) == 50
    some = values.any(axis=1)
    counts = {
        split: sum(bool(s) for row, s in zip(rows, some, strict=True) if row[1] == split) for split in ("valid", "test")
    }
    assert counts == {"valid": 1_529, "test": 4_332}
    # 21,108 clips have any of them: 15,247 in train, the three broken ones included
    assert 15_247 + sum(counts.values()) == 21_108
    groups = [[t for t in g if t in tags] for g in read_synonyms(SHIPPED / "magnatagatune.yaml")]
    raw = TagTable(tuple(row[0] for row in rows), tuple(tags), values)
    merged = merge(raw, [group for group in groups if len(group) > 1])
    with MERGED.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        full = {row["clip_id"]: row for row in reader}
    first = {tag: group[0] for group in read_synonyms(SHIPPED / "magnatagatune.yaml") for tag in group}
    for column, tag in enumerate(merged.tags):
        name = first.get(tag, tag)
        if name in next(iter(full.values())):
            # the fifty hold only a part of each group: if the tag merged from them holds, the whole group's does
            assert all(
                full[clip][name] == "1" for clip, v in zip(merged.clip_ids, merged.values[:, column], strict=True) if v
            )


def dealt(artists: int, policy: str = "corpus", own: str = "") -> list[Clip]:
    """Return two clips of one song by each artist, dealt as the corpus stage deals them; own: their split column."""
    rows = [
        Row("table", f"x/{i}.wav", ["a"], artist=f"artist{i // 2}", song=f"song{i // 2}", split=own)
        for i in range(2 * artists)
    ]
    return deal(policy, 1, tabulate(rows)[0])


def some(clips_: list[Clip], values: list[int] | None = None) -> TagTable:
    column = np.array([[v] for v in values or [1] * len(clips_)], np.uint8)
    return TagTable(tuple(c.clip_id for c in clips_), ("a",), column)


def test_few_artists_whose_hash_leaves_a_split_empty_are_told_the_cause_and_the_cure():
    few = dealt(7)
    missing = next(s for s in SPLITS if s not in {c.split for c in few})
    told = (
        rf"the {missing} split has no clip .* a hash of the artist's name .* \(7 here\).*`corpus\.split: artist` or `co"
    )
    with pytest.raises(CorpusError, match=told):
        select(few, some(few), 1, clean=True)
    cured = dealt(7, "artist")
    assert select(cured, some(cured), 1, clean=True, policy="artist")[0] == cured


@pytest.mark.parametrize(
    ("clips_", "policy", "told", "untold"),
    [
        (dealt(2), "corpus", r"\(2 here\).*; splits of your own", "`corpus.split: artist`"),
        (dealt(2, "artist"), "artist", r"split: artist keeps each artist in one split, and there are 2", "hash"),
        (dealt(9, own="train"), "corpus", r"the corpus's own splits .* put none there; `corpus.split: artist`", "hash"),
        (dealt(2, "panwar-random"), "panwar-random", r"deals clips in shares, of which 4 clips are too few", "hash"),
    ],
)
def test_each_cause_of_an_empty_split_is_told_apart(clips_, policy, told, untold):
    with pytest.raises(CorpusError, match=told) as refused:
        select(clips_, some(clips_), 1, clean=True, policy=policy)
    assert untold not in str(refused.value)


def test_a_split_that_lost_its_clips_for_want_of_tags_is_no_fault_of_the_dealing():
    enough = dealt(7, "artist")
    values = [int(c.split != "test") for c in enough]
    lost = values.count(0)
    with pytest.raises(CorpusError, match=rf"its {lost} clips have none of the 1 .*`clean: false`") as refused:
        select(enough, some(enough, values), 1, clean=True, policy="artist")
    assert "hash" not in str(refused.value)
    assert select(enough, some(enough, values), 1, clean=False, policy="artist")
    with pytest.raises(CorpusError, match="the corpus has no tag at all"):
        select(enough, TagTable(some(enough).clip_ids, (), np.zeros((len(enough), 0), np.uint8)), 1, clean=True)


def test_of_very_many_tags_memory_holds_those_that_clips_have(tmp_path):
    """As zeros and ones this table would be 400 MB."""
    clips, tags = 8_000, 50_000
    rows = (Row(f"row {n}", f"{n}.wav", [f"t{(7 * n + i) % tags}" for i in range(6)] + ["all"]) for n in range(clips))
    tracemalloc.start()
    try:
        _, table = tabulate(rows)
        write_tags(tmp_path / "tags.csv", table)
        merged = merge(read_tags(tmp_path / "tags.csv"), [["t5", "t1", "t9"], ["t0", "all"]])
        chosen = top_tags(merged, 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(table.tags) > 40_000
    assert peak < 100e6
    assert chosen.tags[0] == "t0"
    assert chosen.values[:, 0].all()
    assert len(merged.tags) == len(table.tags) - 3
    row = table.clip_ids.index("0.wav")  # has t0 to t5, of which t1 counts as t5
    assert {*merged.names(row)} == {"t0", "t2", "t3", "t4", "t5"}
