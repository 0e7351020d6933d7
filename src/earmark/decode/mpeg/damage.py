"""What is damaged in an MPEG file: which header must be wrong, or how many frames are lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.decode.bytes_of_file import CHUNK, FileBytes
from earmark.decode.mpeg import headers
from earmark.decode.mpeg.frames import Found

_FEW_BITS = 4  # a header that was damaged differs from the right one by so many at most
_FEWER_BITS = 2  # the same, if its frame has another size


@dataclass
class Damage:
    """Makes up for damage between the frames that were ``found`` and those that follow.

    end: of the frames in the file. free: the bytes of a frame in free format, or 0.
    """

    data: FileBytes
    found: Found
    end: int
    free: int = 0

    def head_at(self, place: int) -> int:
        """Return the header at a place, 0 if none can be there."""
        four = self.data.at(place, 4)
        head = int.from_bytes(four, "big") if len(four) == 4 and place < self.end else 0
        return head if headers.valid(head) else 0

    def bridge(self, place: int, goes_on: int) -> None:
        """Take what there is between ``place``, where the last frame ends, and ``goes_on``, where frames follow.

        Either the header at ``place`` is damaged, or that of the last frame, which then does not end there. The one is
        taken that changes fewer bits; if none fits, what is between them is lost.
        """
        last, model = self.found.last(), self.head_at(goes_on)
        here, its_bits = self.mended(place, goes_on, model)
        if last is not None:
            before, bits = self.mended(last[0], goes_on, model)
            if before and bits <= min(_FEWER_BITS, its_bits):
                self.found.drop_last()
                self.found.add_one(last[0], goes_on, before)
                if round((goes_on - last[0]) / self.usual(model).mean()) > 1:
                    self.found.lost.append((self.found.count, 0))  # it may as well be that others are lost behind it
                return
        dropped = last is not None and not here and goes_on < place
        if last is not None and dropped:
            place = last[0]
            self.found.drop_last()
        count = max(round((goes_on - place) / self.usual(model).mean()), int(dropped))
        if here and (its_bits <= _FEW_BITS or count == 1):
            self.add(place, goes_on, here, its_bits)
        elif not count or not self.spaced(place, goes_on, count, model):
            self.found.add_lost(count, model)

    def begin(self, place: int, goes_on: int) -> None:
        """Take what there is in front of the first frame: another one, or else the file begins anywhere."""
        head, bits = self.mended(place, goes_on, self.head_at(goes_on))
        if head and bits <= _FEW_BITS:
            self.add(place, goes_on, head, bits)
        elif not self.found.count and self.data.at(place, min(goes_on - place, CHUNK)).strip(b"\0"):
            self.found.front = goes_on - place

    def add(self, place: int, stop: int, head: int, bits: int) -> None:
        """Take a frame with another header than it has; it is not heard if more than that must be wrong."""
        if bits > _FEW_BITS:
            self.found.lost.append((self.found.count, 1))
            self.found.muted.add(self.found.count)
        self.found.add_one(place, stop, head)

    def usual(self, model: int) -> NDArray[np.int64]:
        """Return how many bytes the frames around take."""
        recent = self.found.recent()
        return recent if len(recent) else np.array([headers.size(model, self.free)])

    def spaced(self, place: int, goes_on: int, count: int, model: int) -> bool:
        """Take ``count`` frames of the size of those around them; return whether they fit."""
        slot = headers.slot(model)
        size = headers.size(model & ~headers.PADDING, self.free)
        if not 0 <= goes_on - place - count * size <= count * slot:
            return False
        for left in range(count, 0, -1):
            ends = [place + size, place + size + slot]
            likely = ends[(goes_on - place - left * size) * 2 >= left * slot]
            stop = goes_on if left == 1 else next((end for end in ends if self.head_at(end)), likely)
            head, bits = self.mended(place, stop, model)
            if not head:
                self.found.add_lost(left, model)
                break
            self.add(place, stop, head, bits)
            place = stop
        return True

    def mended(self, place: int, stop: int, model: int) -> tuple[int, int]:
        """Return the header that a frame from ``place`` to ``stop`` should have, 0 if none can; and its wrong bits."""
        four = self.data.at(place, 4)
        if stop <= place + 4 or len(four) < 4:
            return 0, 32
        usual = self.usual(model)
        if np.ptp(usual) <= headers.slot(model) < abs(stop - place - usual[0]):
            return 0, 32  # of a constant bit rate
        its = int.from_bytes(four, "big")
        like = model & ~headers.EXTENSION | its & headers.EXTENSION
        bits = {one: (one ^ its).bit_count() for one in headers.of_size(like, stop - place, self.free)}
        best = min(bits, key=lambda one: bits[one], default=0)
        return best, bits.get(best, 32)

    def swallowed(self, place: int, size: int, head: int) -> list[tuple[int, int, int]]:
        """Return the frames within one whose bit rate is damaged so that it ends with a later one: place, end, header.

        Empty if it is not so. Of several ways the one counts that finds the most headers.
        """
        return max((self._within(place, size, head, bit) for bit in (0x1000, 0x2000, 0x4000, 0x8000)), key=len)

    def _within(self, place: int, size: int, head: int, bit: int) -> list[tuple[int, int, int]]:
        inner, begin, stop = head ^ bit, place, place + size
        found = []
        while headers.valid(inner) and 0 < (small := headers.size(inner, self.free)) <= stop - begin:
            if (inner ^ head) & headers.KIND or headers.channels(inner) != headers.channels(head):
                break
            found.append((begin, begin + small, inner))
            begin += small
            if begin == stop and len(found) > 1:
                return found
            inner = self.head_at(begin)
        return []
