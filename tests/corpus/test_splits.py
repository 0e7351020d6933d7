"""Splits: their sizes, whole groups, stability if a corpus grows, and the leaks between them."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers.magnatagatune import MERGED, one_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.corpus.kinds import magnatagatune
from earmark.corpus.manifest import SPLITS, Clip, described, leaks
from earmark.corpus.splits import PANWAR, grouped, hashed, random_clips


def corpus(songs: list[int]) -> list[Clip]:
    """Return the clips of songs with so many clips each; every artist has three songs."""
    return [
        Clip(f"{song}-{part}", f"0/{song}-{part}.mp3", "0", f"song {song}", f"artist {song // 3}", "train")
        for song, parts in enumerate(songs)
        for part in range(parts)
    ]


def sizes(clips: list[Clip]) -> list[int]:
    counts = Counter(clip.split for clip in clips)
    return [counts[split] for split in SPLITS]


def test_a_random_split_has_the_published_sizes_and_leaks_songs():
    clips = corpus([5] * 5172)
    split = random_clips(clips, seed=1)
    assert tuple(sizes(split)) == PANWAR
    assert split == random_clips(clips, seed=1) != random_clips(clips, seed=2)
    assert leaks(split)["test_clips_whose_song_trains"] > 4_000


@pytest.mark.skipif(not MERGED.is_file(), reason="MagnaTagATune's tables are not at hand")
def test_panwars_split_of_magnatagatune_has_the_published_sizes_without_the_broken_files(tmp_path):
    clips = random_clips(magnatagatune.read(one_clip(tmp_path), MERGED)[0], 1, aside=magnatagatune.BROKEN)
    broken = [clip for clip in clips if clip.path in magnatagatune.BROKEN]
    assert [(clip.clip_id, clip.split) for clip in broken] == [
        ("35644", "train"),
        ("55753", "train"),
        ("57881", "train"),
    ]
    assert tuple(sizes([clip for clip in clips if clip not in broken])) == PANWAR
    assert "test clips whose song trains" in described(clips)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=40, max_size=200), st.integers(0, 99), st.sampled_from(["song", "artist"]))
def test_groups_stay_whole_and_the_shares_are_kept(songs, seed, group):
    clips = corpus(songs)
    split = grouped(clips, group, seed)
    assert [c.clip_id for c in split] == [c.clip_id for c in clips]
    assert leaks(split)[f"{group}s_in_several_splits"] == 0
    assert leaks(split)[f"test_clips_whose_{group}_trains"] == 0
    largest = max(Counter(getattr(c, group) for c in clips).values())
    for size, share in zip(sizes(split), (12, 1, 3), strict=True):
        assert abs(size - share / 16 * len(clips)) <= 2 * largest


def test_a_hashed_split_depends_on_the_name_alone_and_has_its_shares():
    counts = Counter(hashed(f"artist {i}") for i in range(16_000))
    assert hashed("artist 7") == hashed("artist 7")
    for split, share in zip(SPLITS, (12_000, 1_000, 3_000), strict=True):
        assert counts[split] == pytest.approx(share, rel=0.1)


@pytest.mark.skipif(not MERGED.is_file(), reason="MagnaTagATune's tables are not at hand")
def test_the_leaks_of_magnatagatunes_folders_are_the_published_ones(tmp_path):
    clips, _ = magnatagatune.read(one_clip(tmp_path), MERGED)
    found = leaks(clips)
    assert found["songs_in_several_splits"] == 0
    assert found["artists_in_several_splits"] == 56
    assert len({c.artist for c in clips}) == 230
    for split in (grouped(clips, "artist", 1), grouped(clips, "song", 1)):
        for size, share in zip(sizes(split), (12, 1, 3), strict=True):
            assert size == pytest.approx(share / 16 * len(clips), rel=0.1)
