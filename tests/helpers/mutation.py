"""Files changed at random by a seed: what a bad disk, a bad copy or an attacker makes of them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

TORTURE = bool(os.environ.get("TORTURE"))
HEADER = 64  # bytes in which most formats say what follows
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
SHARE = float(os.environ.get("TORTURE_SHARE", "1"))  # of the long form


def times(short: int, long: int) -> int:
    """Return how often something is tried: ``long`` times, or a share of that, where TORTURE is set."""
    return max(short, round(long * SHARE)) if TORTURE else short


def flip(content: bytearray, chance: random.Random) -> None:
    """Invert one bit, or a few."""
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def change(content: bytearray, chance: random.Random) -> None:
    """Put other bytes in the place of some."""
    start = chance.randrange(len(content))
    for place in range(start, min(len(content), start + chance.choice((1, 1, 4, 16, 64)))):
        content[place] = chance.randrange(256)


def zero(content: bytearray, chance: random.Random) -> None:
    """Blank a stretch, as a hole in a file reads."""
    start = chance.randrange(len(content))
    stop = min(len(content), start + chance.choice((16, 512, 4096)))
    content[start:stop] = bytes(stop - start)


def cut(content: bytearray, chance: random.Random) -> None:
    """Leave out the end."""
    del content[chance.randrange(len(content)) :]


def leave_out(content: bytearray, chance: random.Random) -> None:
    """Leave out a stretch within."""
    start = chance.randrange(len(content))
    del content[start : start + chance.choice((1, 7, 64, 512, len(content) // 8))]


def insert(content: bytearray, chance: random.Random) -> None:
    """Put bytes in between."""
    start = chance.randrange(len(content))
    content[start:start] = chance.randbytes(chance.choice((1, 4, 100, 2000)))


def swap(content: bytearray, chance: random.Random) -> None:
    """Exchange two blocks of one size."""
    size = min(len(content) // 2, chance.choice((8, 512, 4096)))
    one, other = sorted(chance.randrange(max(1, len(content) - size)) for _ in range(2))
    if size and other >= one + size:
        content[one : one + size], content[other : other + size] = (
            content[other : other + size],
            content[one : one + size],
        )


def edit_header(content: bytearray, chance: random.Random) -> None:
    """Set a number near the beginning to one that programs stumble over."""
    size = chance.choice((1, 2, 4))
    place = chance.randrange(max(1, min(HEADER, len(content)) - size))
    value = chance.choice(EXTREMES) & (1 << 8 * size) - 1
    content[place : place + size] = value.to_bytes(size, chance.choice(("little", "big")))


def edit_digit(content: bytearray, chance: random.Random) -> None:
    """Make a digit another one, as in a text that stays well-formed."""
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if places:
        place = chance.choice(places)
        content[place] = 48 + (content[place] - 48 + chance.randrange(1, 10)) % 10


Way = Callable[[bytearray, random.Random], None]
WAYS: tuple[Way, ...] = (flip, flip, change, zero, cut, leave_out, insert, swap, edit_header, edit_header)
OF_TEXTS: tuple[Way, ...] = (flip, change, cut, leave_out, insert, swap, edit_digit, edit_digit)


def mutated(content: bytes, seed: object, ways: tuple[Way, ...] = WAYS) -> tuple[bytes, str]:
    """Return the content with one change, or now and then two, chosen by the seed; and what was done."""
    chance = random.Random(str(seed))
    changed, done = bytearray(content), []
    for _ in range(chance.choice((1, 1, 1, 2))):
        way = chance.choice(ways)
        if changed:
            way(changed, chance)
            done.append(way.__name__)
    return bytes(changed), " and ".join(done)
