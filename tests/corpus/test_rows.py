"""Rows become clips and a tag table, and every folder becomes a shard."""

from __future__ import annotations

from earmark.corpus.rows import shard_of


def test_shards_are_folders_and_different_folders_are_different_shards():
    assert shard_of("a/b.mp3") == "a"
    assert shard_of("b.mp3") in "0123456789abcdef"
    assert len({shard_of(p) for p in ("a b/x", "a_b/x", "a/b/x", "a-b/x")}) == 4
