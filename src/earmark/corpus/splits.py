"""Deal clips to train, valid and test: as in the literature, or with songs or artists kept together."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from earmark.config import SplitPolicy
from earmark.corpus.manifest import SPLITS, Clip

PANWAR = (19_773, 1_521, 4_566)  # clips of 25,860, drawn without regard to songs (Panwar et al.)
FOLDERS = (12 / 16, 1 / 16, 3 / 16)  # the shares of MagnaTagATune's folders 0-b, c and d-f
Group = Literal["song", "artist"]


def deal(policy: SplitPolicy, seed: int, clips: list[Clip], aside: Collection[str] = ()) -> list[Clip]:
    """Return the clips, dealt to the splits by a policy of ``corpus.split``.

    aside: paths of files that cannot be decoded; ``panwar-random`` leaves them in their split.
    """
    if policy == "corpus":
        return clips
    if policy == "panwar-random":
        return random_clips(clips, seed, aside=aside)
    return grouped(clips, policy, seed)


def random_clips(
    clips: Sequence[Clip], seed: int, shares: Sequence[float] = PANWAR, aside: Collection[str] = ()
) -> list[Clip]:
    """Return the clips, dealt at random to the splits in proportion to ``shares``, whatever their songs: songs leak.

    Clips whose path is in ``aside`` keep their split and do not count. For MagnaTagATune's 25,860 readable clips, the
    default shares give the sizes of Panwar et al.
    """
    drawn = [row for row, clip in enumerate(clips) if clip.path not in aside]
    ends = np.rint(np.cumsum(shares) / np.sum(shares) * len(drawn)).astype(int)
    place = np.empty(len(drawn), int)
    place[np.random.default_rng(seed).permutation(len(drawn))] = np.arange(len(drawn))
    splits = {row: SPLITS[n] for row, n in zip(drawn, np.searchsorted(ends, place, side="right"), strict=True)}
    return [replace(clip, split=splits.get(row, clip.split)) for row, clip in enumerate(clips)]


def grouped(clips: Sequence[Clip], group: Group, seed: int, shares: Sequence[float] = FOLDERS) -> list[Clip]:
    """Return the clips, with whole songs or artists dealt to the splits.

    The groups come in a shuffled order; each goes to the split that lacks the largest part of its share.
    """
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
    """Return the split of a song or artist, decided by its name alone: no clip changes its split if the corpus grows.

    >>> hashed("Ann", shares=(0, 0, 1))
    'test'
    """
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    ends = np.cumsum(shares) / np.sum(shares)
    return SPLITS[int(np.searchsorted(ends, place, side="right"))]
