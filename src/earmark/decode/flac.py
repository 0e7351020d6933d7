"""FLAC files as they are decoded: to their end whatever their header says, with silence where frames are damaged.

Every frame says in a header with a checksum at which sample it begins (RFC 9639).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.decode import containers
from earmark.decode.bytes_of_file import CHUNK, FileBytes, Spliced
from earmark.decode.reader import Block, Reader, RejectedError, silence
from earmark.decode.sound import require_limits

_TAIL = 1 << 18  # bytes among which the last frame begins
_HEADER = 16  # bytes of a frame's header at most
_STREAMINFO = 42  # bytes of the file that say how to decode it
_LAST_BLOCK = 0x80
_HERTZ = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)  # by its code
_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << i for i in range(8)))  # of a frame, by its code


class FlacSource:
    """The samples of a FLAC file, as ``reading.Source`` describes it.

    Raises RejectedError if its header is not that of such a file, or says what no music has.
    """

    format = "FLAC"

    def __init__(self, data: FileBytes) -> None:
        self.data = data
        self._usual = _usual(self.data)
        told = containers.told(self.data) or containers.Told()
        self.rate, self.channels = _rate(self.data, self._usual) or int(told.rate), told.channels
        require_limits(self.rate, self.channels)
        self._announced, held = told.samples or 0, _samples(self.data, self._usual)
        self._samples, self._wanted = held or self._announced, max(held, self._announced)
        self._lost: list[tuple[int, int]] = []

    @property
    def seconds(self) -> float:
        """How much is there as far as the bytes show; 0 if they do not."""
        return self._samples / self.rate

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds; of damaged frames after they were passed."""
        reasons = []
        if lost := [(place, count) for place, count in self._lost if place / self.rate < until]:
            seconds = sum(count for _, count in lost) / self.rate
            reasons.append(f"damaged at {lost[0][0] / self.rate:.1f} s, {seconds:.2f} s are silent in all")
        if until >= self.seconds and self._samples < self._wanted:
            reasons.append(f"ends at {self.seconds:.1f} s of {self._wanted / self.rate:.1f} s: the file is cut off")
        return "; ".join(reasons)

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        place, done = 0, 0
        while True:
            for block in self._run(place):
                yield self.rate, block
                done += len(block)
            if done >= self._samples > 0:
                break
            place, sample = _next(self.data, place + 1, done, self._usual)
            if sample < done:
                break
            if sample > done:
                self._lost.append((done, sample - done))
            yield from silence(self.rate, sample - done, self.channels)
            done = sample
        self._samples = done

        if not done:
            raise RejectedError("FLAC of which no frame can be decoded")

    def _run(self, place: int) -> Iterator[NDArray[np.float32]]:
        """Yield what is decoded from a frame on, or from the beginning of the file: as far as it is undamaged."""
        try:
            if place or self._announced < self._samples or self._usual != _told_size(self.data):
                reader = Reader(Spliced(self.data, [self._head(), (place or self._frames(), self.data.size)]))
            else:
                reader = Reader(self.data.whole())
            with reader:
                yield from reader.blocks_until_the_end()
        except soundfile.LibsndfileError:
            pass  # the next frame that is undamaged is where it goes on

    def _head(self) -> bytes:
        """Return the beginning of a file of this kind that leaves open how many samples follow."""
        head = self.data.at(0, _STREAMINFO)
        size = head[8:12] if self._usual == _told_size(self.data) else 2 * self._usual.to_bytes(2, "big")
        rest = head[12:21] + bytes([head[21] & 0xF0]) + bytes(4) + head[26:]
        return head[:4] + bytes([_LAST_BLOCK]) + head[5:8] + size + rest

    def _frames(self) -> int:
        """Return where the first frame begins."""
        return _next(self.data, _STREAMINFO, 0, self._usual)[0]

    def close(self) -> None:
        """Let go of the file."""
        self.data.close()


def _samples(data: FileBytes, usual: int) -> int:
    """Return how many samples of each channel there are by the last frame; 0 if none is found."""
    place = max(0, data.size - _TAIL)
    tail = data.at(place, _TAIL)
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if found := _extent(tail[at : at + _HEADER], usual):
            return found[1]
    return 0


def _next(data: FileBytes, place: int, sample: int, usual: int) -> tuple[int, int]:
    """Return where the next frame from ``place`` on begins, and its first sample, at least ``sample``; or -1, -1."""
    while place < data.size:
        piece = data.at(place, CHUNK + _HEADER)
        at = -1
        while 0 <= (at := piece.find(b"\xff", at + 1)) < CHUNK:
            found = _extent(piece[at : at + _HEADER], usual)
            if found is not None and found[0] >= sample:
                return place + at, found[0]
        place += CHUNK
    return -1, -1


def _rate(data: FileBytes, usual: int) -> int:
    """Return the rate in Hz that the first frames tell, if they agree; 0 if they leave it to the file's header."""
    place, codes = _STREAMINFO, set()
    for _ in range(3):
        place = _next(data, place, 0, usual)[0] + 1
        if place:
            codes.add(data.at(place + 1, 1)[0] & 15)
    return _HERTZ[min(codes)] if len(codes) == 1 and min(codes) < len(_HERTZ) else 0


def _told_size(data: FileBytes) -> int:
    """Return how many samples the header says that a frame has at most."""
    return int.from_bytes(data.at(10, 2), "big")


def _usual(data: FileBytes) -> int:
    """Return how many samples a frame has, in a file in which all have the same number.

    If the first of two says another number than the header, the header is damaged.
    """
    first, number = _next(data, _STREAMINFO, 0, 1)
    second = _next(data, first + 1, 0, 1)[1] if number == 0 else -1
    head = data.at(first, _HEADER) if second == 1 else b""
    found = _extent(head, 1) if head and not head[1] & 1 else None
    return _told_size(data) if found is None else found[1]


def _extent(head: bytes, usual: int) -> tuple[int, int] | None:
    """Return the first sample of a frame and the one behind it by its header (section 9.1); None if it is none."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
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
