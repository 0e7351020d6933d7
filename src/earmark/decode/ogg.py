"""Ogg files as they are decoded: chained streams one after the other, and silence where pages are damaged (RFC 3533).

A page says at which sample it ends, and carries a checksum and a number, so that what is lacking is known.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import soundfile

from earmark.decode.bytes_of_file import CHUNK, FileBytes, Spliced
from earmark.decode.reader import Block, Reader, RejectedError, silence
from earmark.decode.sound import SoundSource, require_limits

_HEAD = 27  # bytes of a page in front of the table of its segments
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
_OPUS_RATE = 48_000  # Hz in which pages of Opus count, whatever the rate


@dataclass(frozen=True)
class Page:
    """A page: bytes ``start`` to ``stop`` of the file. granule: at which sample it ends, -1 if no packet ends in it."""

    start: int
    stop: int
    flags: int
    granule: int
    serial: int
    number: int


@dataclass
class Link:
    """One of the streams that are chained: its pages of headers, and runs of pages between which some are lacking."""

    headers: list[Page] = field(default_factory=list)
    runs: list[list[Page]] = field(default_factory=list)
    opus: bool = False
    skip: int = 0  # samples at the beginning of Opus that are counted and not heard

    @property
    def granule(self) -> int:
        """The sample at which the link ends, as its pages count."""
        return max((page.granule for run in self.runs for page in run), default=0) - self.skip

    @property
    def ended(self) -> bool:
        """Whether its last page is there."""
        return bool(self.runs) and bool(self.runs[-1][-1].flags & _LAST)


def checksum(page: bytes) -> int:
    """CRC-32 of a page as Ogg takes it: the bits in the other order, nothing inverted, its own field as zeros."""
    blank = page[:22] + bytes(4) + page[26:]
    value = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(value.to_bytes(4, "little").translate(_REVERSED), "big")


def pages(data: FileBytes) -> Iterator[Page]:
    """Yield the pages of a file that are undamaged."""
    place = 0
    while place < data.size:
        head = data.at(place, _HEAD + 255)
        if head[:4] == b"OggS" and len(head) > _HEAD:
            segments = head[26]
            stop = place + _HEAD + segments + sum(head[_HEAD : _HEAD + segments])
            page = data.at(place, stop - place)
            if len(page) == stop - place and checksum(page) == int.from_bytes(page[22:26], "little"):
                numbers = (int.from_bytes(page[a:b], "little") for a, b in ((14, 18), (18, 22)))
                granule = int.from_bytes(page[6:14], "little", signed=True)
                yield Page(place, stop, page[5], granule, *numbers)
                place = stop
                continue
        while (found := data.find(b"OggS", place + 1, CHUNK)) < 0 and place < data.size:
            place += CHUNK - 4
        place = found if found >= 0 else data.size


def _skipping_nothing(page: bytes) -> bytes:
    """Return the first page of Opus so that all samples are heard, as in the middle of a stream."""
    place = page.index(b"OpusHead") + 10
    changed = page[:place] + bytes(2) + page[place + 2 :]
    return changed[:22] + checksum(changed).to_bytes(4, "little") + changed[26:]


def links(data: FileBytes) -> list[Link]:
    """Return the streams of audio that are chained in a file, in their order."""
    found: list[Link] = []
    serial = previous = None
    for page in pages(data):
        if page.flags & _FIRST:
            begin = data.at(page.start, 80)[_HEAD + 1 :]
            if begin.startswith(_AUDIO):
                opus = begin.startswith(b"OpusHead")
                skip = int.from_bytes(begin[10:12], "little") if opus else 0
                found.append(Link([page], opus=opus, skip=skip))
                serial, previous = page.serial, page
            continue
        if not found or page.serial != serial or previous is None:
            continue
        link = found[-1]
        if not link.runs and page.granule == 0:
            link.headers.append(page)
        elif link.runs and page.number == previous.number + 1:
            link.runs[-1].append(page)
        else:
            link.runs.append([page])
        previous = page
    return [link for link in found if link.runs]


class OggSource:
    """The samples of an Ogg file, as ``reading.Source`` describes it.

    Raises RejectedError if it holds no audio that libsndfile reads.
    """

    format = "OGG"

    def __init__(self, data: FileBytes) -> None:
        self.data = data
        self._links = links(self.data)
        if not self._links:
            raise RejectedError("Ogg without audio: no stream of Vorbis, Opus, FLAC or Speex with undamaged pages")
        self._lost: list[tuple[float, float]] = []  # where, and how long: seconds
        self._sound: SoundSource | None = None
        self._forms = [self._form(link) for link in self._links]
        self.rate, self.channels = self._forms[0]
        self.seconds = sum(
            link.granule / (_OPUS_RATE if link.opus else rate)
            for link, (rate, _) in zip(self._links, self._forms, strict=True)
        )

        first = self._links[0]
        if len(self._links) == len(first.runs) == 1 and first.runs[0][0].number == first.headers[-1].number + 1:
            self._sound = SoundSource(data)

    def _form(self, link: Link) -> tuple[int, int]:
        with self._opened(link, 0) as reader:
            require_limits(reader.samplerate, reader.channels)
            return int(reader.samplerate), int(reader.channels)

    def _opened(self, link: Link, number: int) -> Reader:
        run = link.runs[number]
        pieces: list[tuple[int, int] | bytes] = [(page.start, page.stop) for page in link.headers]
        if link.opus and number:
            first = link.headers[0]
            pieces[0] = _skipping_nothing(self.data.at(first.start, first.stop - first.start))
        try:
            return Reader(Spliced(self.data, [*pieces, (run[0].start, run[-1].stop)]))
        except soundfile.LibsndfileError as error:
            raise RejectedError(f"not decodable: {error.error_string}") from None

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        if self._sound is not None:
            yield from self._sound.blocks()
            return
        begin = 0.0
        for link, (rate, channels) in zip(self._links, self._forms, strict=True):
            place = 0  # in samples of the link
            for number in range(len(link.runs)):
                count = sum(len(block) for _, block in self._decoded(link, number, channels))
                lacking = self._lacking(link, number, rate, place, count)
                if lacking > 0:
                    self._lost.append((begin + place / rate, lacking / rate))
                    yield from silence(rate, lacking, channels)
                skip = max(0, -lacking)  # what stands in both of two runs
                for _, block in self._decoded(link, number, channels):
                    yield rate, block[skip:]
                    skip = max(0, skip - len(block))
                place += lacking + count
            begin += place / rate

    def _decoded(self, link: Link, number: int, channels: int) -> Iterator[Block]:
        with self._opened(link, number) as reader:
            if reader.channels != channels:
                return
            for block in reader.blocks_until_the_end():
                yield reader.samplerate, block

    def _lacking(self, link: Link, number: int, rate: int, place: int, count: int) -> int:
        """Return how many samples are lost in front of a run of ``count`` samples, by where its last page ends."""
        end = max(page.granule for page in link.runs[number]) - link.skip
        lacking = round(end * rate / (_OPUS_RATE if link.opus else rate)) - count - place
        if number == 0 and link.runs[0][0].number == link.headers[-1].number + 1:
            return 0  # a stream may begin at any number: it was recorded from a broadcast
        return lacking if number else max(0, lacking)

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds; of damaged pages after they were passed."""
        reasons = []
        lost = [(place, length) for place, length in self._lost if place < until]
        if lost:
            seconds = sum(length for _, length in lost)
            reasons.append(f"damaged at {lost[0][0]:.1f} s, {seconds:.2f} s are silent in all")
        if self._sound is not None and (reason := self._sound.incomplete(until)):
            reasons.append(reason)
        if until >= self.seconds and not all(link.ended for link in self._links):
            reasons.append(f"ends at {self.seconds:.1f} s without its last page: the file is cut off")
        return "; ".join(reasons)

    def close(self) -> None:
        """Let go of the file."""
        if self._sound is not None:
            self._sound.close()
        self.data.close()
