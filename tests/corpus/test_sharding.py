"""Shards are folders, unless these are too large or too many; a further clip changes one of them."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import yaml
from helpers.tiny_corpora import Tiny

from earmark.config import ConfigError, load
from earmark.corpus.manifest import Clip
from earmark.corpus.read import read
from earmark.corpus.sharding import LONGEST, MOST_CLIPS, MOST_SHARDS, sharded


def clips_of(*folders: tuple[str, int]) -> list[Clip]:
    return [
        Clip(f"{folder}/{n}", f"{folder}/{n}.mp3", folder, "song", "artist", "train")
        for folder, count in folders
        for n in range(count)
    ]


def sizes(clips: list[Clip], most: int | None = None) -> Counter[str]:
    return Counter(clip.shard for clip in sharded(clips, most))


def changed(before: list[Clip], after: list[Clip], most: int | None) -> set[str]:
    """The shards of ``after`` that hold other clips than one of ``before``."""
    contents = []
    for clips in (before, after):
        held = defaultdict(set)
        for clip in sharded(clips, most):
            held[clip.shard].add(clip.clip_id)
        contents.append(held)
    return {name for name, held in contents[1].items() if contents[0].get(name) != held}


def test_without_a_setting_folders_of_the_usual_sizes_are_shards():
    clips = clips_of(*((folder, 1_700) for folder in "0123456789abcdef"))  # as MagnaTagATune
    assert sharded(clips, None) == clips
    clips = clips_of(("rock", 1), ("jazz", 300))
    assert sharded(clips, None) == clips


def test_a_large_folder_is_split_and_every_clip_has_its_place_by_its_own_id():
    clips = clips_of(("rock", 20_000), ("jazz", 40))
    found = sizes(clips, 1_024)
    assert found.pop("jazz") == 40
    assert all(name.startswith("rock+") for name in found)
    assert all(256 <= size <= 1_024 for size in found.values())
    assert max(sizes(clips).values()) <= MOST_CLIPS
    assert sizes(clips[::-1], 1_024) == sizes(clips, 1_024)


def test_a_further_clip_changes_one_shard_or_splits_it():
    clips = clips_of(("rock", 3_000))
    for more in range(200):
        after = [*clips, Clip(f"new/{more}", f"new/{more}.mp3", "rock", "song", "artist", "train")]
        touched = changed(clips, after, 256)
        assert 1 <= len(touched) <= 2
        if len(touched) == 2:  # a split: siblings
            assert len({name[:-1] for name in touched}) == 1
        clips = after


def test_many_folders_of_one_clip_are_put_together_as_wholes():
    clips = clips_of(*((f"album{n}", 1 + n % 3) for n in range(MOST_SHARDS + 1)))
    found = sizes(clips, 1_024)
    assert all(name.startswith("+folders-") for name in found)
    assert all(256 <= size <= 1_024 for size in found.values())
    assert len(sizes(clips)) < 10  # without a setting, too, since they are so many
    assert len(sizes(clips[:1_000])) == len({clip.shard for clip in clips[:1_000]})
    by_folder = defaultdict(set)
    for before, after in zip(clips, sharded(clips, 1_024), strict=True):
        by_folder[before.shard].add(after.shard)
    assert all(len(shards) == 1 for shards in by_folder.values())
    assert len(changed(clips, [*clips, *clips_of(("new", 1))], 1_024)) == 1


def test_names_stay_within_what_a_file_system_takes_and_differ():
    long = "x" * LONGEST
    found = sizes(clips_of((long, 3_000), (long[:-1] + "y", 3_000)), 256)
    assert max(map(len, found)) <= LONGEST
    assert max(found.values()) <= 256
    assert sum(found.values()) == 6_000


def test_the_setting_reaches_the_manifest_and_is_judged(tmp_path):
    tiny = Tiny(tmp_path)
    tiny.settings["corpus"]["shard_clips"] = 4
    clips, _ = read(load(tiny.write_settings()).corpus)
    assert max(Counter(clip.shard for clip in clips).values()) <= 4
    assert all(clip.shard.startswith(("f+", "s+")) for clip in clips)
    tiny.settings["corpus"]["shard_clips"] = 0
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny.settings))
    with pytest.raises(ConfigError, match=r"corpus\.shard_clips: .* greater than 1, got 0"):
        load(tmp_path / "params.yaml")
