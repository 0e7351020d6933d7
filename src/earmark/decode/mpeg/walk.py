"""Go through an MPEG file from header to header: which frames are there, and what is damaged between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from earmark.decode.bytes_of_file import CHUNK, FileBytes
from earmark.decode.mpeg import headers, tags

SILENT = -1  # the place of a frame that is lost
_CONFIRMED = {True: 2, False: 4}  # frames in a row by which a place is known, by whether they are of the stream's kind
_RECENT = 16  # frames by which it is judged how large others are
_BRIEF = 4  # fewer frames in a row with one or two channels, between others, have a damaged header
_FEW_BITS = 4  # a header that was damaged differs from the right one by so many at most
_FREE_FORMAT = 8192  # bytes: no frame of a stream in free format is larger


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
class _Walk:
    data: FileBytes
    end: int
    kind: int = 0  # what all headers of the stream have in common
    free: int = 0  # bytes of its frames if they are in free format
    place: list[NDArray[np.int64]] = field(default_factory=list)
    size: list[NDArray[np.int64]] = field(default_factory=list)
    head: list[NDArray[np.int64]] = field(default_factory=list)
    count: int = 0
    starts: list[int] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    muted: set[int] = field(default_factory=set)
    mended: int = 0
    front: int = 0

    def head_at(self, place: int) -> int:
        """Return the header at a place, 0 if none can be there."""
        four = self.data.at(place, 4)
        head = int.from_bytes(four, "big") if len(four) == 4 and place < self.end else 0
        return head if headers.valid(head) else 0

    def add(self, place: NDArray[np.int64], size: NDArray[np.int64], head: NDArray[np.int64]) -> None:
        self.place.append(place)
        self.size.append(size)
        self.head.append(head)
        self.count += len(place)

    def follow(self, place: int) -> int:
        """Take frames of the stream's kind from ``place`` on; return where the next one is not."""
        ones, second, table = 0xFF, self.kind >> 16 & 0xFF | 1, headers.sizes(self.kind, self.free)
        while place < self.end:
            piece = self.data.at(place, CHUNK + tags.INFO_WITHIN)
            at, found, sizes, last = 0, list[int](), list[int](), min(CHUNK, len(piece) - 4)
            while at <= last and piece[at] == ones and piece[at + 1] | 1 == second and (size := table[piece[at + 2]]):
                if place + at + size > self.end:
                    break
                found.append(at)
                sizes.append(size)
                at += size
            if not found:
                return place
            where, raw = np.array(found), np.frombuffer(piece, np.uint8)
            head = sum(raw[where + i].astype(np.int64) << 24 - 8 * i for i in range(4))
            self.begin_tracks(piece, where, np.asarray(head))
            self.add(where + place, np.array(sizes), np.asarray(head))
            place += at
        return place

    def begin_tracks(self, piece: bytes, where: NDArray[np.int64], head: NDArray[np.int64]) -> None:
        """Note the frames among those at ``where`` that say what follows: there, another file begins."""
        for name in tags.INFO:
            at = -1
            while (at := piece.find(name, at + 1)) >= 0:
                number = int(np.searchsorted(where, at)) - 1
                if number >= 0 and at - where[number] == tags.info_place(int(head[number])):
                    self.starts.append(self.count + number)

    def confirmed(self, place: int) -> int:
        """Return the kind of the frames that begin at ``place``; 0 if too few follow each other to be sure."""
        first = self.head_at(place)
        kind, count = first & headers.KIND, 0
        free = self.free if kind == self.kind else 0
        if first and not headers.size(first, 1):
            return 0
        if first and headers.size(first) == 0 and not free:
            free = self.free_size(place, first)
        head, needed = first, _CONFIRMED[kind == self.kind]
        while head and head & headers.KIND == kind and headers.channels(head) == headers.channels(first):
            size = headers.size(head, free)
            if not size or place + size > self.end:
                return 0
            place, count = place + size, count + 1
            if count == needed or place == self.end or tags.length(self.data, place):
                self.free = free
                return kind
            head = self.head_at(place)
        return 0

    def free_size(self, place: int, head: int) -> int:
        """Return the bytes of a frame in free format without padding, by where the next two begin; 0 if none do."""
        same = headers.KIND | headers.BIT_RATE
        piece = self.data.at(place, _FREE_FORMAT)
        slot = 4 if headers.layer(head) == 1 else 1
        at = 4 + headers.side_information(head)
        while (at := piece.find(piece[:1], at)) > 0:
            if (self.head_at(place + at) ^ head) & same == 0:
                free = at - (head >> 9 & 1) * slot
                following = self.head_at(place + at + headers.size(self.head_at(place + at), free))
                if following and (following ^ head) & same == 0:
                    return free
            at += 1
        return 0

    def search(self, place: int) -> tuple[int, int]:
        """Return the next place from ``place`` on where frames follow each other, and their kind; or the end and 0."""
        possible = headers.possible()
        while place < self.end:
            raw = np.frombuffer(self.data.at(place, min(CHUNK, self.end - place)), np.uint8)
            if len(raw) < 4:
                break
            pairs = raw[1:-1].astype(np.uint16) << 8 | raw[2:]
            for at in np.flatnonzero((raw[:-2] == 0xFF) & possible[pairs]):
                if kind := self.confirmed(place + int(at)):
                    return place + int(at), kind
            place += len(raw) - 3
        return self.end, 0

    def last(self) -> tuple[int, int, int] | None:
        """Return place, size and header of the last frame, None if there is none or it is lost."""
        if not self.place or self.place[-1][-1] == SILENT:
            return None
        return int(self.place[-1][-1]), int(self.size[-1][-1]), int(self.head[-1][-1])

    def bridge(self, place: int, found: int) -> None:
        """Make up for what is damaged: frames end at ``place``, and go on at ``found``.

        Either the header at ``place`` is damaged, or that of the frame before it, which then does not end there. The
        one is taken that changes fewer bits; if none fits, what is between them is lost.
        """
        last, model = self.last(), self.head_at(found)
        here, its_bits = self.mend(place, found, model)
        if last is not None:
            before, bits = self.mend(last[0], found, model)
            if before and bits <= min(_FEW_BITS, its_bits):
                self.size[-1][-1], self.head[-1][-1] = found - last[0], before
                self.mended += 1
                return
        dropped = last is not None and not here and found < place
        if last is not None and dropped:
            place = last[0]
            self.drop_last()
        count = max(round((found - place) / self.recent(model).mean()), int(dropped))
        if here and (its_bits <= _FEW_BITS or count == 1):
            self.add_damaged(place, found, here, its_bits)
        elif not count or not self.spaced(place, found, count, model):
            self.lost.append((self.count, count))
            self.add(np.full(count, SILENT), np.zeros(count, np.int64), np.full(count, model))

    def bridge_begin(self, place: int, found: int) -> None:
        """Make up for what is damaged in front of the first frame: its header, or else an excerpt begins anywhere."""
        head, bits = self.mend(place, found, self.head_at(found))
        if head and bits <= _FEW_BITS:
            self.add_damaged(place, found, head, bits)
        elif not self.count and self.data.at(place, min(found - place, CHUNK)).strip(b"\0"):
            self.front = found - place

    def recent(self, model: int) -> NDArray[np.int64]:
        """Return how many bytes each of the last frames takes."""
        known = [one[one > 0][-_RECENT:] for one in self.size[-_RECENT:]]
        found = np.concatenate([np.zeros(0, np.int64), *known])[-_RECENT:]
        return found if len(found) else np.array([headers.size(model, self.free)])

    def add_damaged(self, place: int, stop: int, head: int, bits: int) -> None:
        """Take a frame with another header than it has; it is not heard if more than that must be wrong."""
        if bits > _FEW_BITS:
            self.lost.append((self.count, 1))
            self.muted.add(self.count)
        self.mended += 1
        self.add(np.array([place]), np.array([stop - place]), np.array([head]))

    def spaced(self, place: int, found: int, count: int, model: int) -> bool:
        """Take ``count`` frames of the size of those around them; return whether they fit."""
        slot = 4 if headers.layer(model) == 1 else 1
        size = headers.size(model & ~headers.PADDING, self.free)
        if not 0 <= found - place - count * size <= count * slot:
            return False
        for left in range(count, 0, -1):
            spare = found - place - left * size
            ends = [place + size, place + size + slot]
            stop = (
                found if left == 1 else next((end for end in ends if self.head_at(end)), ends[spare * 2 >= left * slot])
            )
            head, bits = self.mend(place, stop, model)
            if not head:
                return False
            self.add_damaged(place, stop, head, bits)
            place = stop
        return True

    def mend(self, place: int, found: int, model: int) -> tuple[int, int]:
        """Return the header that a frame from ``place`` to ``found`` should have, 0 if none can; and its wrong bits."""
        four = self.data.at(place, 4)
        if found <= place + 4 or len(four) < 4:
            return 0, 32
        its = int.from_bytes(four, "big")
        like = model & ~headers.EXTENSION | its & headers.EXTENSION
        recent = self.recent(model)
        slot = 4 if headers.layer(model) == 1 else 1
        if np.ptp(recent) <= slot < abs(found - place - recent[0]):
            return 0, 32  # of a constant bit rate
        bits = {one: (one ^ its).bit_count() for one in headers.of_size(like, found - place, self.free)}
        best = min(bits, key=lambda one: bits[one], default=0)
        return best, bits.get(best, 32)

    def drop_last(self) -> None:
        for one in (self.place, self.size, self.head):
            one[-1] = one[-1][:-1]
            if not len(one[-1]):
                one.pop()
        self.count -= 1

    def run(self, place: int) -> Frames:
        """Go through the file, from ``place`` to ``end``."""
        begins = True
        while place < self.end:
            behind = place + tags.length(self.data, place)
            if behind > place and (behind == self.end or tags.length(self.data, behind) or self.confirmed(behind)):
                place, begins = behind, True
                continue
            kind, found = self.confirmed(place), place
            if not kind:
                last = self.last()
                found, kind = self.search(place if last is None or begins else last[0] + 4)
                if not kind:
                    break
            begins = begins or place < behind <= found
            changes, self.kind = kind != self.kind, kind
            if begins or changes:
                self.starts.append(self.count)
            if begins and found > place:
                self.bridge_begin(behind if behind <= found else place, found)
            elif found != place and not changes:
                self.bridge(place, found)
            elif found != place:
                self.lost.append((self.count, 0))
            place, begins = self.follow(found), False
        return self.frames(place)

    def frames(self, place: int) -> Frames:
        """Return what was found, ``place`` being the end of the last frame."""
        nothing = np.zeros(0, np.int64)
        places, sizes, heads = (np.concatenate([nothing, *one]) for one in (self.place, self.size, self.head))
        left, head = self.end - place, self.head_at(place)
        cut = bool(head) and head & headers.KIND == self.kind and left < headers.size(head, self.free)
        if not self.data.at(place, min(left, 1 << 16)).strip(b"\0"):
            left = 0
        frames = Frames(
            places, sizes, heads, sorted({*self.starts}), self.lost, self.muted, self.mended, self.front, left, cut
        )
        self.mend_channels(frames)
        return frames

    def mend_channels(self, frames: Frames) -> None:
        """Give the few frames that are mono among stereo ones, or the other way round, the mode of those before."""
        one = (frames.head & headers.MODE) == headers.MONO
        edges = [0, *(np.flatnonzero(np.diff(one)) + 1).tolist(), len(one)]
        runs = list(itertools.pairwise(edges))
        for number, (start, stop) in enumerate(runs):
            if stop - start < _BRIEF and len(runs) > 1:
                near = runs[number - 1][0] if number else runs[1][0]
                frames.head[start:stop] = (
                    frames.head[start:stop] & ~headers.MODE | int(frames.head[near]) & headers.MODE
                )
                frames.mended += stop - start


def walk(data: FileBytes, start: int = 0) -> Frames:
    """Return all frames of a file from byte ``start`` on, of which there may be none."""
    return _Walk(data, tags.end(data)).run(start)
