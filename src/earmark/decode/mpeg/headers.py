"""The four bytes in front of every frame of MPEG audio (ISO 11172-3 and 13818-3, section 2.4.1.3).

A header is held as an integer of 32 bits: eleven ones, version, layer, protection, bit rate, sampling rate, padding,
private, mode, mode extension, copyright, original, emphasis.
"""

from __future__ import annotations

from functools import cache

import numpy as np

KIND = 0xFFFE0C00  # ones, version, layer and sampling rate: all frames of a stream share them
BIT_RATE, PADDING, PROTECTION, EMPHASIS = 0xF000, 0x200, 0x10000, 0x3
MODE, MONO, EXTENSION = 0xC0, 0xC0, 0x30
FREE = 0  # the index of a bit rate that no header tells

_HERTZ = (44_100, 48_000, 32_000)
_SHIFT = {3: 0, 2: 1, 0: 2}  # by version: MPEG-1, MPEG-2, MPEG-2.5
_KBITS = {  # by (MPEG-1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def valid(head: int) -> bool:
    """Whether four bytes can be a header."""
    sync, version, layer = head >> 21, head >> 19 & 3, head >> 17 & 3
    return sync == 0x7FF and version != 1 and layer != 0 and head >> 12 & 15 != 15 and head >> 10 & 3 != 3


def mpeg1(head: int) -> bool:
    """Whether the version is MPEG-1, not one of the half and quarter sampling rates."""
    return head >> 19 & 3 == 3


def layer(head: int) -> int:
    """Return 1, 2 or 3."""
    return 4 - (head >> 17 & 3)


def rate(head: int) -> int:
    """Return the sampling rate in Hz."""
    return _HERTZ[head >> 10 & 3] >> _SHIFT[head >> 19 & 3]


def channels(head: int) -> int:
    """Return 1 or 2."""
    return 1 if head & MODE == MONO else 2


def samples(head: int) -> int:
    """Return how many samples per channel a frame holds."""
    if layer(head) == 1:
        return 384
    return 1152 if layer(head) == 2 or mpeg1(head) else 576


def side_information(head: int) -> int:
    """Return how many bytes of side information follow the header of a frame of layer III."""
    if mpeg1(head):
        return 17 if channels(head) == 1 else 32
    return 9 if channels(head) == 1 else 17


def slot(head: int) -> int:
    """Return how many bytes padding takes."""
    return 4 if layer(head) == 1 else 1


def size(head: int, free: int = 0) -> int:
    """Return the bytes of a frame, its header included; 0 if no header tells.

    free: those of a frame without padding of a stream in free format.
    """
    padding, slot = head >> 9 & 1, 4 if layer(head) == 1 else 1
    kbits = _KBITS[mpeg1(head), layer(head)][head >> 12 & 15]
    if kbits == FREE:
        return free + padding * slot if free else 0
    return (samples(head) // 8 * kbits * 1000 // (rate(head) * slot) + padding) * slot


@cache
def sizes(kind: int, free: int) -> list[int]:
    """Return the size of a frame by the third byte of its header; 0 where that byte does not go with ``kind``."""
    found = [0] * 256
    for third in range(256):
        head = kind & 0xFFFF0000 | PROTECTION | third << 8
        if head & KIND == kind and valid(head):
            found[third] = size(head, free)
    return found


@cache
def sizes_array(kind: int, free: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return ``sizes`` as an array, for many headers at once."""
    return np.array(sizes(kind, free))


@cache
def possible() -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return whether the second and the third byte, as one number, can follow the ones of a header."""
    return np.array([valid(0xFF000000 | number << 8) for number in range(1 << 16)])


def of_size(head: int, wanted: int, free: int = 0) -> list[int]:
    """Return all headers like ``head``, of any bit rate and padding, whose frames have so many bytes."""
    base = head & ~(BIT_RATE | PADDING)
    every = [base | index << 12 | padding for index in range(15) for padding in (0, PADDING)]
    return [one for one in every if size(one, free) == wanted]


def silent(head: int) -> bytes:
    """Return the smallest frame of the kind of ``head``: silence, and nothing for the frames after it."""
    smallest = head & ~(BIT_RATE | PADDING) | 1 << 12 | PROTECTION
    return smallest.to_bytes(4, "big") + bytes(size(smallest) - 4)
