"""Which clips train, validate and test: the literature's splits, and ones that keep songs and artists together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from earmark.manifest import SPLITS, Clip

PANWAR = (19_773, 1_521, 4_566)  # clips of 25,860, drawn without regard to songs (Panwar et al.)
FOLDERS = (12 / 16, 1 / 16, 3 / 16)  # the shares of MagnaTagATune's folders 0-b, c and d-f
Group = Literal["song", "artist"]


def random_clips(clips: Sequence[Clip], seed: int, shares: Sequence[float] = PANWAR) -> list[Clip]:
    """Shuffle clips into splits in proportion to ``shares``, whatever their songs: clips of one song leak.

    With 25,860 clips and the default shares the sizes are those of Panwar et al.
    """
    ends = np.rint(np.cumsum(shares) / np.sum(shares) * len(clips)).astype(int)
    place = np.empty(len(clips), int)
    place[np.random.default_rng(seed).permutation(len(clips))] = np.arange(len(clips))
    numbers = np.searchsorted(ends, place, side="right")
    return [replace(clip, split=SPLITS[number]) for clip, number in zip(clips, numbers, strict=True)]


def grouped(clips: Sequence[Clip], group: Group, seed: int, shares: Sequence[float] = FOLDERS) -> list[Clip]:
    """Deal whole songs or artists to the splits in a shuffled order, each to the split that lacks most of its share."""
    sizes = Counter(getattr(clip, group) for clip in clips)
    names = sorted(sizes)
    wanted = np.asarray(shares) / np.sum(shares) * len(clips)
    have = np.zeros(len(shares))
    chosen: dict[str, str] = {}
    for number in np.random.default_rng(seed).permutation(len(names)):
        name = names[number]
        split = int(np.argmax((wanted - have) / wanted))
        have[split] += sizes[name]
        chosen[name] = SPLITS[split]
    return [replace(clip, split=chosen[getattr(clip, group)]) for clip in clips]


def hashed(name: str, shares: Sequence[float] = FOLDERS) -> str:
    """The split of a song or artist by its name alone: a corpus that grows moves no clip to another split."""
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    ends = np.cumsum(shares) / np.sum(shares)
    return SPLITS[int(np.searchsorted(ends, place, side="right"))]


def leaks(clips: Sequence[Clip]) -> dict[str, int]:
    """How many songs and artists lie in more than one split, and how many test clips share theirs with training."""
    found: dict[str, int] = {}
    for group in ("song", "artist"):
        splits: dict[str, set[str]] = {}
        for clip in clips:
            splits.setdefault(getattr(clip, group), set()).add(clip.split)
        found[f"{group}s_in_several_splits"] = sum(len(where) > 1 for where in splits.values())
        found[f"test_clips_whose_{group}_trains"] = sum(
            clip.split == "test" and "train" in splits[getattr(clip, group)] for clip in clips
        )
    return found
