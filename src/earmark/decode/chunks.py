"""The chunks of which WAV, RF64, AIFF, W64 and CAF consist, and where among them the samples end."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.mpeg import tags

_CUT_OFF = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"cue ", b"smpl", b"PEAK", b"APPL", b"MARK", b"COMT")
_ZEROS = 1 << 16  # bytes behind the samples that are no samples
_WRAPPED = 1 << 31  # bytes behind the samples: a WAV of more than 4 GB says its sizes modulo 2^32
_CHUNKS = 64  # that may follow the samples


class Chunk(NamedTuple):
    """name. begin: of its content. size: of that, as it says. behind: where the next one begins."""

    name: bytes
    begin: int
    size: int
    behind: int

    @property
    def is_named(self) -> bool:
        """Whether its name is one: bytes of samples rarely are."""
        return self.name.isascii() and self.name.decode().isprintable()


Chunks = Callable[[int], Iterator[Chunk]]


def riff(data: FileBytes, order: str, place: int) -> Iterator[Chunk]:
    """Yield the chunks of WAV, RF64 and AIFF from a place on. order: "<" or ">"."""
    while len(head := data.at(place, 8)) == 8:
        name, size = struct.unpack(f"{order}4sI", head)
        chunk = Chunk(name, place + 8, size, place + 8 + size + size % 2)
        yield chunk
        place = chunk.behind


def caf(data: FileBytes, place: int) -> Iterator[Chunk]:
    """Yield the chunks of CAF from a place on, the last of which may have a size below 0: it is not known."""
    while len(head := data.at(place, 12)) == 12:
        name, size = struct.unpack(">4sq", head)
        yield Chunk(name, place + 12, size, place + 12 + size)
        if size < 0:
            return
        place += 12 + size


def w64(data: FileBytes, place: int) -> Iterator[Chunk]:
    """Yield the chunks of W64 from a place on: names of 16 bytes, sizes that count the 24 in front, all by eights."""
    while len(head := data.at(place, 24)) == 24:
        size = int.from_bytes(head[16:], "little")
        yield Chunk(head[:4], place + 24, max(0, size - 24), place + -(-size // 8) * 8)
        if size < 24:
            return
        place += -(-size // 8) * 8


def extent(
    data: FileBytes, place: int, size: int | None, chunks: Chunks, align: int = 1, whole: int = 0
) -> tuple[tuple[int, int], str]:
    """Return where samples that begin at ``place`` end, and what is doubtful about that; or empty.

    size: their bytes, as the header says, None if it does not. align: of chunks. whole: where the file ends, as its
    header says; 0 if it does not.

    A recorder that was stopped leaves a size that is too small, and more samples behind them. The size is right if
    named chunks and tags lead from there to the end of the file, or if any chunks lead to where the file should end:
    then two fields of the header agree. What follows where the whole file should end is never heard, but told if it
    is neither tags nor zeros: the recorder may have written both fields before it was stopped.
    """
    if size is not None and place + size >= data.size:
        return (place, data.size), ""
    end = max(place, tags.end(data))
    if size is None:
        return (place, end), ""
    stop = place + size
    behind = (stop, stop + -stop % align)  # some programs forget to align
    if _is_nothing(data, stop, end) or any(_leads_to_end(data, one, end, chunks) for one in behind):
        return (place, stop), ""
    if data.size - stop < _WRAPPED and any(_leads_to(one, whole, chunks) for one in behind):
        if whole >= end or _is_nothing(data, whole, end) or _leads_to_end(data, whole, end, chunks):
            return (place, stop), ""
        return (place, stop), f"its header says {whole} bytes, and {end - whole} follow them, which are not heard"
    return (place, end), ""


def _is_nothing(data: FileBytes, place: int, end: int) -> bool:
    return end - place <= _ZEROS and not data.at(place, end - place).strip(b"\0")


def _leads_to_end(data: FileBytes, place: int, end: int, chunks: Chunks) -> bool:
    """Whether chunks with names, and tags, lead from a place to the end of the file, which may be cut off."""
    while place < end and (chunk := next(chunks(place), None)) is not None:
        if chunk.is_named and (chunk.begin + chunk.size <= data.size + 1 or chunk.name in _CUT_OFF):
            place = max(chunk.begin, chunk.behind)
        elif length := tags.length(data, place):
            place += length
        else:
            return False
    return True


def _leads_to(place: int, whole: int, chunks: Chunks) -> bool:
    """Whether chunks of any name lead from a place to ``whole``, give or take a byte that fills up."""
    for chunk in itertools.islice(chunks(place), _CHUNKS):
        if place >= whole - 1:
            break
        place = chunk.begin + chunk.size
    return abs(place - whole) <= 1
