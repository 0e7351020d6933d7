"""The frames of FLAC, by their headers: each has a checksum, and says which samples its frame holds (RFC 9639)."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, deque

from earmark.decode.bytes_of_file import CHUNK, FileBytes

STREAMINFO = 42  # bytes of a stream that say how to decode it
LAST_BLOCK = 0x80
_MARK = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # with the head of the block that follows, STREAMINFO
_MARK_BYTES = 8
_BLOCKS = 1000  # of metadata: more are none
_TAIL = 1 << 18  # bytes among which the last frame begins
_HEADER = 16  # bytes of a frame's header at most
_FEW = 8  # headers of frames that are kept until it is known which are none
_PLAUSIBLE = 4  # so many times the samples that as many bytes hold elsewhere in a stream may be lost
_HERTZ = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)  # by its code
_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << i for i in range(8)))  # of a frame, by its code
_CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 2, 2, 2, 0, 0, 0, 0, 0)  # by their code


def streams(data: FileBytes) -> list[FileBytes]:
    """Return the streams that are joined in a file, each from its mark on, with what stands behind it."""
    starts = [0]
    while (place := _mark(data, starts[-1] + _begin(data.part(starts[-1], data.size)))) >= 0:
        starts.append(place)
    if len(starts) == 1:
        return [data]
    return [data.part(start, stop) for start, stop in itertools.pairwise([*starts, data.size])]


def _mark(data: FileBytes, place: int) -> int:
    """Return where the next stream from ``place`` on begins, or -1."""
    while place < data.size:
        if found := _MARK.search(data.at(place, CHUNK + _MARK_BYTES - 1)):
            return place + found.start()
        place += CHUNK
    return -1


def _begin(data: FileBytes) -> int:
    """Return where the frames of a stream begin; if its metadata is damaged, from where on they are to be searched."""
    place = 4
    for _ in range(_BLOCKS):
        head = data.at(place, 4)
        place += 4 + int.from_bytes(head[1:], "big")
        if not head or head[0] & LAST_BLOCK:
            break
    return place if _extent(data.at(place, _HEADER), 1) else STREAMINFO


class Frames:
    """The frames of the stream that ``data`` hold.

    begin: where the first one begins in the data, or may. size: samples of each but the last, if all others have as
    many. rate: Hz, 0 if their headers do not agree, or leave it to the stream's.
    """

    def __init__(self, data: FileBytes) -> None:
        self._data, self.begin, self.size = data, _begin(data), 1
        self._kind: tuple[int, ...] = ()
        heads: list[bytes] = []
        place = self.begin
        while len(heads) < 3 and (place := self.next(place)[0] + 1):
            heads.append(data.at(place - 1, _HEADER))
        rates = {head[2] & 15 for head in heads}
        self.rate = _HERTZ[min(rates)] if len(rates) == 1 and min(rates) < len(_HERTZ) else 0
        kinds = Counter(_kind(head) for head in heads).most_common(1)
        if kinds and (kinds[0][1] > 1 or len(heads) == 1):
            self._kind = kinds[0][0]
        self.size = self._usual(heads)

    def _usual(self, heads: list[bytes]) -> int:
        """Return ``size``: if the first of two frames says another than the stream's header, that one is damaged."""
        numbers = [extent for head in heads[:2] if not head[1] & 1 and (extent := _extent(head, 1)) is not None]
        first_two = [number for number, _ in numbers] == [0, 1]
        return numbers[0][1] if first_two else told_size(self._data)

    def _extent(self, head: bytes) -> tuple[int, int] | None:
        found = _extent(head, self.size)
        return found if found is not None and self._kind in ((), _kind(head)) else None

    def next(self, place: int, sample: int = 0, end: float = math.inf) -> tuple[int, int]:
        """Return where the next frame from ``place`` on begins, and its first sample; or -1, -1.

        sample, end: those between which its samples must be.
        """
        mark = b"\xff" + bytes(self._kind[:1])
        while place < self._data.size:
            piece = self._data.at(place, CHUNK + _HEADER)
            at = -1
            while 0 <= (at := piece.find(mark, at + 1)) < CHUNK:
                found = self._extent(piece[at : at + _HEADER])
                if found is not None and sample <= found[0] and found[1] <= end:
                    return place + at, found[0]
            place += CHUNK
        return -1, -1

    def end(self, announced: int) -> int:
        """Return how many samples of each channel there are by the last frame; 0 if none is found.

        Tags and pictures behind it look like a frame at times. Therefore it follows another one, be it with a few lost
        ones in between; or it is the first one, or ends where the stream's header announces.
        """
        start = max(self.begin, self._data.size - _TAIL)
        tail = self._data.at(start, _TAIL)
        at, later = len(tail), deque[tuple[int, int, int]](maxlen=_FEW)
        while (at := tail.rfind(b"\xff", 0, at)) >= 0:
            found = self._extent(tail[at : at + _HEADER])
            if found is None:
                continue
            (sample, end), here = found, start + at
            for place, its_sample, its_end in later:
                lost = _PLAUSIBLE * end * (place - here) / (place - self.begin)
                if 0 <= its_sample - end <= lost:
                    return its_end
            if end == announced or here == self.begin:
                return end
            later.append((here, sample, end))
        return 0


def told_size(data: FileBytes) -> int:
    """Return how many samples the header of a stream says that a frame has at most."""
    return int.from_bytes(data.at(10, 2), "big")


def _kind(head: bytes) -> tuple[int, ...]:
    """Return what the headers of all frames of a stream share: kind of size, rate, bits, channels."""
    return head[1], head[2] & 15, head[3] & 15, _CHANNELS[head[3] >> 4]


def _extent(head: bytes, usual: int) -> tuple[int, int] | None:
    """Return the first sample of a frame and the one behind it by its header (section 9.1); None if it is none."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1 or not _CHANNELS[head[3] >> 4]:
        return None
    length = max(1, 8 - (~head[4] & 0xFF).bit_length()) if head[4] & 0x80 else 1
    number = head[4] & (0x7F if length == 1 else (1 << 7 - length) - 1)
    for byte in head[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    code, rate, place = head[2] >> 4, head[2] & 15, 4 + length
    more = {6: 1, 7: 2}.get(code, 0)
    size = int.from_bytes(head[place : place + more], "big") + 1 if more else _SIZES[code]
    place += more + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not size or rate == 15 or place >= len(head) or _crc8(head[:place]) != head[place]:
        return None
    first = number if head[1] & 1 else number * usual
    return first, first + size


def _crc8(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x107 if value & 0x80 else 0)) & 0x1FF
    return value & 0xFF
