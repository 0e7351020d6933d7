"""Where a FLAC file ends, by its last frame: its header says 0 if it was written to a pipe, or may be damaged."""

from __future__ import annotations

from earmark.decode.bytes_of_file import FileBytes

_TAIL = 1 << 18  # bytes among which the last frame begins
_HEADER = 16  # bytes of a frame's header at most
TOTAL = 21  # where in the file the samples are told, in the last 36 of the 64 bits from byte 18 on

_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << i for i in range(8)))  # of a frame, by its code


def samples(data: FileBytes) -> int | None:
    """Return how many samples of each channel there are by the last frame; None if none is found."""
    place = max(0, data.size - _TAIL)
    tail = data.at(place, _TAIL)
    block = int.from_bytes(data.at(10, 2), "big")
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        found = _end(tail[at : at + _HEADER], block)
        if found is not None:
            return found
    return None


def unknown_length(head: bytes) -> bytes:
    """Return the first 26 bytes of a file such that they leave open how many samples follow."""
    return head[:TOTAL] + bytes([head[TOTAL] & 0xF0]) + bytes(4)


def _end(head: bytes, usual: int) -> int | None:
    """Return the sample behind a frame by its header (RFC 9639, section 9.1); None if it is none."""
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
    return (number if head[1] & 1 else number * usual) + size


def _crc8(content: bytes) -> int:
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x107 if value & 0x80 else 0)) & 0x1FF
    return value & 0xFF
