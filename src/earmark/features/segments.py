"""A file that comes in blocks is cut into segments, as ``decode.audio.cut`` cuts it whole, and little of it is held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.config import WaveformConfig
from earmark.decode.audio import REMAINDER, cut, starts

Blocks = Callable[[], Iterable[NDArray[np.float32]]]  # begins the file anew whenever it is called
Decoded = Callable[[], Iterable[NDArray[np.float32] | str]]  # the same, and behind the blocks what the file lacks
Segments = tuple[list[int], NDArray[np.float32]]  # the samples at which they begin, (segments, samples)

_HELD = 1 << 24  # samples: a longer file is gone through twice where it must be known how long it is


class Wave:
    """The samples of one file, in ascending order: only a part of what has come is held.

    length: how many have come so far.
    """

    def __init__(self, blocks: Iterable[NDArray[Any]]) -> None:
        self._blocks = iter(blocks)
        self._held: NDArray[Any] = np.zeros(0, np.float32)  # the last ones that have come
        self._needed = 0
        self.length = 0

    def has(self, count: int) -> bool:
        """Tell whether the file has so many samples. Afterwards they have come; if it has not, all have."""
        held = [self._held]
        while self.length < count and (block := next(self._blocks, None)) is not None:
            self.length += len(block)
            if self.length > self._needed:
                held.append(block)
        if len(held) > 1:
            self._held = np.concatenate(held)
        return self.length >= count

    def part(self, start: int, stop: int) -> NDArray[Any]:
        """Return a part of what has come, nothing of which may have been forgotten; it ends where the file does."""
        first = self.length - len(self._held)
        return self._held[start - first : max(start, stop) - first]

    def forget(self, before: int) -> None:
        """Let go of the samples before a place, which need not have come yet."""
        self._needed = before
        if (gone := before - (self.length - len(self._held))) > 0:
            self._held = self._held[gone:].copy()

    def to_the_end(self) -> int:
        """Go on to the end, and return the length of the file; nothing is held any more."""
        self._held = self._held[:0]
        self.length += sum(map(len, self._blocks))
        return self.length


def segments(blocks: Blocks, clip: WaveformConfig, samples: int, most: int) -> Iterator[Segments]:
    """Yield the segments of a file, up to ``most`` of them at a time, each of ``samples`` samples.

    A file that is at most a tenth longer than the clips of the corpus is cut by their policy. A longer one is cut into
    segments, one after the other, whatever the policy: a song is heard from beginning to end.
    """
    wave = Wave(blocks())
    if clip.policy == "segments" and clip.segments is not None:
        yield from _spaced(blocks, wave, clip, clip.segments, samples, most)
    elif clip.policy == "segments":
        yield from _consecutive(wave, clip.samples, samples, most)
    elif wave.has(int((1 + REMAINDER) * clip.samples) + 1):
        yield from _consecutive(wave, samples, samples, most)
    else:
        start = max(0, wave.length - clip.samples) // 2 if clip.policy == "center" else 0
        yield [start], cut(wave.part(0, wave.length), clip.samples, clip.policy)[:, :samples]


def _consecutive(wave: Wave, size: int, kept: int, most: int) -> Iterator[Segments]:
    """Yield segments of ``size`` samples one after the other, the first ``kept`` samples of each."""
    done = 0
    while wave.has((done + most) * size):
        here = range(done * size, (done + most) * size, size)
        yield list(here), wave.part(here.start, here.stop).reshape(most, size)[:, :kept]
        done += most
        wave.forget((done - 1) * size)  # the last segment of all may overlap the one before
    if places := starts(wave.length, size, "segments")[done:]:
        yield places, np.concatenate([_segment(wave, start, size)[:, :kept] for start in places])


def _spaced(blocks: Blocks, wave: Wave, clip: WaveformConfig, number: int, kept: int, most: int) -> Iterator[Segments]:
    """Yield so many segments, evenly spaced from the beginning of the file to its end."""
    if wave.has(_HELD):
        length = wave.to_the_end()
        wave = Wave(blocks())
    else:
        length = wave.length
    places = starts(length, clip.samples, "segments", number)
    for first in range(0, len(places), most):
        some, found = places[first : first + most], []
        for start in some:
            wave.forget(start)
            wave.has(start + clip.samples)
            found.append(_segment(wave, start, clip.samples)[:, :kept])
        yield some, np.concatenate(found)
    wave.to_the_end()


def _segment(wave: Wave, start: int, size: int) -> NDArray[np.float32]:
    """Return the segment that begins there, (1, size), with zeros where the file has ended."""
    return cut(wave.part(start, start + size), size, "pad")
