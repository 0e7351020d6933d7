"""The frames of an MPEG file, as they are found one after the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from earmark.decode.mpeg import headers

SILENT = -1  # the place of a frame that is lost
_RECENT = 16  # frames by which it is judged how large others are
_BRIEF = 4  # fewer frames in a row that differ from all others in what never changes have a damaged header


@dataclass
class Frames:
    """All frames of a file in their order.

    place: of each frame's header in the file, or SILENT for one that is lost. size: its bytes. head: its header as it
    should be. starts: the frames at which a track begins, behind a tag or where the kind of the frames changes.
    lost: (frame, frames) of each stretch that is lost, and silent in this place; 0 frames if nobody knows how many.
    muted: frames whose bytes serve those that follow, but that cannot be heard. mended: how many headers differ from
    those of the file. front, left: bytes before the first frame and behind the last one that are no tag. cut: whether
    the latter begin a frame.
    """

    place: NDArray[np.int64]
    size: NDArray[np.int64]
    head: NDArray[np.int64]
    starts: list[int]
    lost: list[tuple[int, int]]
    muted: set[int]
    mended: int
    front: int = 0
    left: int = 0
    cut: bool = False

    def __len__(self) -> int:
        return len(self.place)


@dataclass
class Found:
    """The frames that were found so far: arrays of each of their properties, and the rest as in ``Frames``."""

    place: list[NDArray[np.int64]] = field(default_factory=list)
    size: list[NDArray[np.int64]] = field(default_factory=list)
    head: list[NDArray[np.int64]] = field(default_factory=list)
    count: int = 0
    starts: list[int] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    muted: set[int] = field(default_factory=set)
    mended: int = 0
    front: int = 0

    def add(self, place: NDArray[np.int64], size: NDArray[np.int64], head: NDArray[np.int64]) -> None:
        """Take some frames."""
        if len(place):
            self.place.append(place)
            self.size.append(size)
            self.head.append(head)
            self.count += len(place)

    def add_one(self, place: int, stop: int, head: int) -> None:
        """Take a frame of bytes ``place`` to ``stop`` whose header is mended."""
        self.mended += 1
        self.add(np.array([place]), np.array([stop - place]), np.array([head]))

    def add_lost(self, count: int, model: int) -> None:
        """Take as many frames of which nothing is left, of the kind of the header ``model``."""
        self.lost.append((self.count, count))
        self.add(np.full(count, SILENT), np.zeros(count, np.int64), np.full(count, model))

    def last(self) -> tuple[int, int, int] | None:
        """Return place, size and header of the last frame, None if there is none or it is lost."""
        if not self.place or self.place[-1][-1] == SILENT:
            return None
        return int(self.place[-1][-1]), int(self.size[-1][-1]), int(self.head[-1][-1])

    def drop_last(self) -> None:
        """Take the last frame back."""
        for one in (self.place, self.size, self.head):
            one[-1] = one[-1][:-1]
            if not len(one[-1]):
                one.pop()
        self.count -= 1
        self.muted.discard(self.count)
        self.lost = [(number, count) for number, count in self.lost if number + count <= self.count]

    def recent(self) -> NDArray[np.int64]:
        """Return how many bytes each of the last frames takes; there may be none."""
        known = [one[one > 0][-_RECENT:] for one in self.size[-_RECENT:]]
        return np.concatenate([np.zeros(0, np.int64), *known])[-_RECENT:]

    def all(self, left: int, cut: bool) -> Frames:
        """Return all of them, their headers agreeing in what does not change from frame to frame."""
        nothing = np.zeros(0, np.int64)
        place, size, head = (np.concatenate([nothing, *one]) for one in (self.place, self.size, self.head))
        starts, mended = sorted({*self.starts}), self.mended
        mended += _agree(head, (head & headers.MODE) == headers.MONO, headers.MODE)
        mended += _agree(head, (head & headers.PROTECTION) == 0, headers.PROTECTION)
        return Frames(place, size, head, starts, self.lost, self.muted, mended, self.front, left, cut)


def _agree(head: NDArray[np.int64], differs: NDArray[np.bool_], bits: int) -> int:
    """Give a few frames that differ from those around them the bits of those before; return how many there are."""
    edges = [0, *(np.flatnonzero(np.diff(differs)) + 1).tolist(), len(differs)]
    runs, mended = list(itertools.pairwise(edges)), 0
    for number, (start, stop) in enumerate(runs):
        if stop - start < _BRIEF and len(runs) > 1:
            near = runs[number - 1][0] if number else runs[1][0]
            head[start:stop] = head[start:stop] & ~bits | int(head[near]) & bits
            mended += stop - start
    return mended
