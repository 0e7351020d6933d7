"""An MPEG file as it is decoded: by libsndfile alone if it is sound, or else frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator

import soundfile

from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.mpeg import headers
from earmark.decode.mpeg.fit import fitted
from earmark.decode.mpeg.mended import Part, decoded, parts
from earmark.decode.mpeg.walk import walk
from earmark.decode.reader import Block, Reader, RejectedError


class MpegSource:
    """The samples of an MPEG file, as ``reading.Source`` describes it.

    start: where in the file it begins, if something else stands around it.
    Raises RejectedError if no frame is found.
    """

    format = "MP3"

    def __init__(self, data: FileBytes, start: int = 0) -> None:
        self.data, self._start = data, start
        self._frames = walk(self.data, start)
        self._parts = parts(self.data, self._frames)
        if len(self._parts) == 1 and self._parts[0].said is not None and self._frames.lost:
            self._frames = fitted(self._frames, self._parts[0].said.frames)
            self._parts = parts(self.data, self._frames)
        if not self._parts:
            raise RejectedError("no MPEG frame found")
        self.rate, self.channels = self._parts[0].rate, self._parts[0].channels
        self.seconds = sum(part.samples / part.rate for part in self._parts)

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        for part in self._parts:
            done = 0
            if self._sound():
                for rate, block in self._by_libsndfile(part):
                    done += len(block)
                    yield rate, block
            if done < part.samples:
                for block in decoded(self.data, self._frames, part, done):
                    yield part.rate, block

    def _sound(self) -> bool:
        """Whether nothing is damaged, and what the file says of itself is so: libsndfile needs no help, and is mute."""
        frames, part = self._frames, self._parts[0]
        said, count = part.said, part.stop - part.first
        if (
            len(self._parts) > 1
            or count < 2
            or frames.mended
            or frames.lost
            or frames.front
            or frames.left
            or self._start
        ):
            return False
        size = self.data.size - int(frames.place[0])
        return said is None or (not said.vbri and said.frames == count and abs(said.size - size) <= size // 200)

    def _by_libsndfile(self, part: Part) -> Iterator[Block]:
        """Yield the samples as libsndfile finds them, or nothing if it would stop before their end."""
        try:
            with Reader(self.data.whole()) as file:
                if (file.samplerate, file.channels) == (part.rate, part.channels) and file.frames >= part.samples:
                    for block in file.blocks_until_the_end():
                        yield part.rate, block
        except soundfile.LibsndfileError:
            pass  # where it stopped the other way goes on

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds."""
        reasons = (self._lost(until), self._ends_early() if until >= self.seconds else "")
        return "; ".join(reason for reason in reasons if reason)

    def _lost(self, until: float) -> str:
        places = [(self._seconds(0, number), number, count) for number, count in sorted(self._frames.lost)]
        lost = [(place, self._seconds(number, number + count)) for place, number, count in places if place < until]
        front = (
            f"{self._frames.front} bytes in front of the first frame are no MPEG audio" if self._frames.front else ""
        )
        if not lost:
            return front
        damaged = f"damaged at {lost[0][0]:.1f} s, {sum(length for _, length in lost):.2f} s are silent in all"
        return f"{front}; {damaged}" if front else damaged

    def _seconds(self, first: int, stop: int) -> float:
        """Return how long some frames take."""
        overlaps = ((part, min(stop, part.stop) - max(first, part.first)) for part in self._parts)
        return sum(max(0, count) * headers.samples(part.head) / part.rate for part, count in overlaps)

    def _ends_early(self) -> str:
        announced, complete = 0.0, False
        for part in self._parts:
            found, said = part.stop - part.first, part.said
            wanted = found
            if said is not None and said.frames >= found and not self._has_all_bytes(part):
                wanted = said.frames
            complete = said is not None and said.frames > 0 and wanted <= found
            announced += part.samples / part.rate + (wanted - found) * headers.samples(part.head) / part.rate
        end = f"ends at {self.seconds:.1f} s"
        if announced > self.seconds:
            return f"{end} of {announced:.1f} s: the file is cut off"
        if complete or not self._frames.left:
            return ""
        if self._frames.cut:
            return f"{end}, within a frame: the file is cut off"
        usual = self._frames.size[-1]
        return (
            f"{end}, and {self._frames.left} bytes follow that are no MPEG audio" if self._frames.left > usual else ""
        )

    def _has_all_bytes(self, part: Part) -> bool:
        """Whether the file holds as many bytes of a track as its first frame says, and so its frames, too."""
        assert part.said is not None
        sizes = self._frames.size[part.first - 1 : part.stop]
        return part.said.size > 0 and abs(part.said.size - int(sizes.sum())) < int(sizes[-1])

    def close(self) -> None:
        """Let go of the file."""
        self.data.close()
