"""FLAC files as they are decoded: to their end whatever their header says, with silence where frames are damaged."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.decode import containers
from earmark.decode.bytes_of_file import FileBytes, Spliced
from earmark.decode.flac_frames import LAST_BLOCK, STREAMINFO, Frames, streams, told_size
from earmark.decode.reader import Block, Reader, RejectedError, silence
from earmark.decode.sound import require_limits


class FlacSource:
    """The samples of a FLAC file, as ``reading.Source`` describes it: of all streams that are joined in it.

    Raises RejectedError if its header is not that of such a file, or says what no music has.
    """

    format = "FLAC"

    def __init__(self, data: FileBytes) -> None:
        self.data = data
        first, *others = streams(data)
        self._streams, self._unheard = [_Stream(first)], ""
        for other in others:
            try:
                self._streams.append(_Stream(other))
            except RejectedError as error:
                self._unheard = f"{other.size} bytes behind it that begin as FLAC are not heard: {error}"
        self.rate, self.channels = self._streams[0].rate, self._streams[0].channels

    @property
    def seconds(self) -> float:
        """How much is there as far as the bytes show; 0 if they do not."""
        return sum(one.seconds for one in self._streams)

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds; of damaged frames after they were passed."""
        reasons, begin = [], 0.0
        for one in self._streams:
            reasons += one.incomplete(begin, until)
            begin += one.seconds
        if self._unheard and until >= begin:
            reasons.append(self._unheard)
        return "; ".join(reasons)

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        heard = 0
        for one in self._streams:
            for rate, block in one.blocks():
                heard += len(block)
                yield rate, block
        if not heard:
            raise RejectedError("FLAC of which no frame can be decoded")

    def close(self) -> None:
        """Let go of the file."""
        self.data.close()


class _Stream:
    """A stream of FLAC, and what stands behind it. rate: Hz."""

    def __init__(self, data: FileBytes) -> None:
        self._data, self._frames = data, Frames(data)
        told = containers.told(data) or containers.Told()
        self.rate, self.channels = self._frames.rate or int(told.rate), told.channels
        require_limits(self.rate, self.channels)
        self._announced = told.samples or 0
        self._held = self._frames.end(self._announced)
        self._samples, self._wanted = self._held or self._announced, max(self._held, self._announced)
        self._lost: list[tuple[int, int]] = []

    @property
    def seconds(self) -> float:
        """How long it is as far as its bytes show; 0 if they do not."""
        return self._samples / self.rate

    def incomplete(self, begin: float, until: float) -> list[str]:
        """Return what is lacking in the first ``until`` seconds of a file in which it begins at ``begin`` seconds."""
        reasons, end = [], begin + self.seconds
        if lost := [(place, count) for place, count in self._lost if begin + place / self.rate < until]:
            seconds = sum(count for _, count in lost) / self.rate
            place = begin + lost[0][0] / self.rate
            reasons.append(f"damaged at {place:.1f} s, {seconds:.2f} s are silent in all")
        if until >= end and self._samples < self._wanted:
            wanted = begin + self._wanted / self.rate
            reasons.append(f"ends at {end:.1f} s of {wanted:.1f} s: the file is cut off")
        return reasons

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        place, done = 0, 0
        while True:
            for block in self._run(place):
                yield self.rate, block
                done += len(block)
            if done >= self._samples > 0:
                break
            place, sample = self._frames.next(max(place + 1, self._frames.begin), done, self._held or math.inf)
            if sample < done:
                break
            if sample > done:
                self._lost.append((done, sample - done))
            yield from silence(self.rate, sample - done, self.channels)
            done = sample
        self._samples = done

    def _run(self, place: int) -> Iterator[NDArray[np.float32]]:
        """Yield what is decoded from a frame on, or from the beginning of the stream: as far as it is undamaged."""
        frames, data = self._frames, self._data
        try:
            if place or self._announced < self._samples or frames.size != told_size(data):
                start = place or frames.next(frames.begin)[0]
                reader = Reader(Spliced(data, [self._head(), (start, data.size)]))
            else:
                reader = Reader(data.whole())
            with reader:
                yield from reader.blocks_until_the_end()
        except soundfile.LibsndfileError:
            pass  # the next frame that is undamaged is where it goes on

    def _head(self) -> bytes:
        """Return the beginning of a stream of this kind that leaves open how many samples follow."""
        head, size = self._data.at(0, STREAMINFO), self._frames.size
        sizes = head[8:12] if size == told_size(self._data) else 2 * size.to_bytes(2, "big")
        rest = head[12:21] + bytes([head[21] & 0xF0]) + bytes(4) + head[26:]
        return head[:4] + bytes([LAST_BLOCK]) + head[5:8] + sizes + rest
