"""Go through an MPEG file from header to header: which frames are there, and what is damaged between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.decode.bytes_of_file import CHUNK, FileBytes
from earmark.decode.mpeg import headers, tags
from earmark.decode.mpeg.damage import Damage
from earmark.decode.mpeg.frames import Found, Frames

_CONFIRMED = {True: 2, False: 4}  # frames in a row by which a place is known, by whether they are of the stream's kind
_FEW = 8  # frames that are found as fast one by one
_FREE_FORMAT = 8192  # bytes: no frame of a stream in free format is larger
_NEAR = 1 << 14  # bytes in which the next frames are searched first


class _Walk:
    """The way through a file. kind: what all headers of the stream have in common. end: where tags begin behind it."""

    def __init__(self, data: FileBytes) -> None:
        self.data, self.end, self.kind = data, tags.end(data), 0
        self.found = Found()
        self.damage = Damage(data, self.found, self.end)
        self.head_at = self.damage.head_at

    def follow(self, place: int) -> int:
        """Take frames of the stream's kind from ``place`` on; return where the next one is not."""
        ones, second, table = 0xFF, self.kind >> 16 & 0xFF | 1, headers.sizes(self.kind, self.damage.free)
        while place < self.end:
            piece = self.data.at(place, CHUNK + tags.INFO_WITHIN)
            last = min(CHUNK, len(piece) - 4)
            found, size = self.steady(piece, last, self.end - place)
            at, sizes = len(found) * size, [size] * len(found)
            while at <= last and piece[at] == ones and piece[at + 1] | 1 == second and (size := table[piece[at + 2]]):
                if place + at + size > self.end:
                    break
                found.append(at)
                sizes.append(size)
                at += size
            if not found:
                return place
            where, raw = np.array(found), np.frombuffer(piece, np.uint8)
            head = np.asarray(sum(raw[where + i].astype(np.int64) << 24 - 8 * i for i in range(4)))
            self.begin_tracks(piece, where, head)
            self.take(raw, where, np.array(sizes), head, place)
            place += at
        return place

    def steady(self, piece: bytes, last: int, left: int) -> tuple[list[int], int]:
        """Return where frames of one size follow each other from the beginning of a piece, and this size.

        What ``follow`` finds one by one, of a constant bit rate in one go. last: where a frame may begin at most; left:
        bytes in front of the tags. Empty for a few, and where the first one is not of the stream's kind.
        """
        table, second = headers.sizes_array(self.kind, self.damage.free), self.kind >> 16 & 0xFF | 1
        size = int(table[piece[2]]) if last >= 0 else 0
        if not size:
            return [], 0
        raw, places = np.frombuffer(piece, np.uint8), np.arange(0, min(last, left - size) + 1, size)
        same = (raw[places] == 0xFF) & (raw[places + 1] | 1 == second) & (table[raw[places + 2]] == size)
        count = len(same) if same.all() else int(same.argmin())
        return (places[:count].tolist(), size) if count > _FEW else ([], 0)

    def take(
        self, raw: NDArray[np.uint8], where: NDArray[np.int64], size: NDArray[np.int64], head: NDArray[np.int64],
        place: int,
    ) -> None:  # fmt: skip
        """Take frames at ``where`` in a piece of the file that begins at ``place``; and those that some swallowed."""
        table, second, done = headers.sizes_array(self.kind, self.damage.free), self.kind >> 16 & 0xFF | 1, 0
        suspect = np.zeros(len(where), bool)
        for bit in (0x10, 0x20, 0x40, 0x80):
            small = table[raw[where + 2] ^ bit]
            inside = np.where((small > 0) & (small < size), where + small, 0)
            inside = np.where(inside < len(raw) - 2, inside, 0)
            there = (raw[inside] == 0xFF) & (raw[inside + 1] | 1 == second) & (table[raw[inside + 2]] > 0)
            suspect |= there & (inside > where)
        for number in np.flatnonzero(suspect):
            inner = self.damage.swallowed(place + int(where[number]), int(size[number]), int(head[number]))
            if inner:
                self.found.add(where[done:number] + place, size[done:number], head[done:number])
                for begin, stop, its in inner:
                    self.found.add_one(begin, stop, its)
                done = int(number) + 1
        self.found.add(where[done:] + place, size[done:], head[done:])

    def begin_tracks(self, piece: bytes, where: NDArray[np.int64], head: NDArray[np.int64]) -> None:
        """Note the frames among those at ``where`` that say what follows: there, another file begins."""
        sides = np.where(
            head & headers.MODE == headers.MONO, *(tags.info_place(self.kind | mode) for mode in (headers.MONO, 0))
        )
        raw, names = np.frombuffer(piece, np.uint8), where + sides
        initials = raw[np.minimum(names, len(raw) - 1)]
        for number in np.flatnonzero(np.isin(initials, [name[0] for name in tags.INFO])):
            if piece[names[number] : names[number] + 4] in tags.INFO:
                self.found.starts.append(self.found.count + int(number))

    def confirmed(self, place: int) -> int:
        """Return the kind of the frames that begin at ``place``; 0 if too few follow each other to be sure."""
        first = self.head_at(place)
        kind, count = first & headers.KIND, 0
        free = self.damage.free if kind == self.kind else 0
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
                self.damage.free = free
                return kind
            head = self.head_at(place)
        return 0

    def free_size(self, place: int, head: int) -> int:
        """Return the bytes of a frame in free format without padding, by where the next two begin; 0 if none do."""
        same = headers.KIND | headers.BIT_RATE
        raw = np.frombuffer(self.data.at(place, _FREE_FORMAT), np.uint8)
        second, third = (head & same) >> 16 & 0xFF, (head & same) >> 8 & 0xFF
        like = (raw[:-2] == 0xFF) & (raw[1:-1] & 0xFE == second) & (raw[2:] & 0xFC == third)
        least = 4 + headers.side_information(head)
        for at in (np.flatnonzero(like[least:]) + least).tolist():
            if (self.head_at(place + at) ^ head) & same == 0:
                free = at - (head >> 9 & 1) * headers.slot(head)
                following = self.head_at(place + at + headers.size(self.head_at(place + at), free))
                if following and (following ^ head) & same == 0:
                    return int(free)
        return 0

    def search(self, place: int) -> tuple[int, int]:
        """Return the next place from ``place`` on where frames follow each other, and their kind; or the end and 0."""
        possible, size = headers.possible(), _NEAR
        while place < self.end:
            raw = np.frombuffer(self.data.at(place, min(size, self.end - place)), np.uint8)
            if len(raw) < 4:
                break
            pairs = raw[1:-1].astype(np.uint16) << 8 | raw[2:]
            for at in np.flatnonzero((raw[:-2] == 0xFF) & possible[pairs]):
                if kind := self.confirmed(place + int(at)):
                    return place + int(at), kind
            place, size = place + len(raw) - 3, min(2 * size, CHUNK)
        return self.end, 0

    def run(self, place: int) -> Frames:
        """Go through the file from ``place`` on."""
        begins, found = True, self.found
        while place < self.end:
            behind = place + tags.length(self.data, place)
            if behind > place and (behind == self.end or tags.length(self.data, behind) or self.confirmed(behind)):
                place, begins = behind, True
                continue
            kind, goes_on = self.confirmed(place), place
            if not kind:
                last = found.last()
                goes_on, kind = self.search(place if last is None or begins else last[0] + 4)
                if not kind:
                    break
            begins = begins or place < behind <= goes_on
            changes, self.kind = kind != self.kind, kind
            if begins or changes:
                found.starts.append(found.count)
            if begins and goes_on > place:
                self.damage.begin(behind if behind <= goes_on else place, goes_on)
            elif goes_on != place and not changes:
                self.damage.bridge(place, goes_on)
            elif goes_on != place:
                found.lost.append((found.count, 0))
            place, begins = self.follow(goes_on), False
        left, head = self.end - place, self.head_at(place)
        cut = bool(head) and head & headers.KIND == self.kind and left < headers.size(head, self.damage.free)
        return found.all(left, cut)


def walk(data: FileBytes, start: int = 0) -> Frames:
    """Return all frames of a file from byte ``start`` on, of which there may be none."""
    return _Walk(data).run(start)
