"""The pages of an Ogg file (RFC 3533), and the streams of audio that they make up, one behind the other."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from earmark.decode.bytes_of_file import CHUNK, FileBytes

_HEAD = 27  # bytes of a page in front of the table of its segments
_FIRST, _LAST = 2, 4
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_KINDS = {b"\x01vorbis": "vorbis", b"OpusHead": "opus", b"\x7fFLAC": "flac", b"Speex   ": "speex"}


@dataclass(frozen=True)
class Page:
    """A page: bytes ``start`` to ``stop`` of the file, its packets from ``body`` on.

    granule: at which sample it ends, -1 if no packet ends in it. ended: how many packets end in it.
    """

    start: int
    body: int
    stop: int
    ended: int
    flags: int
    granule: int
    serial: int
    number: int


@dataclass
class Link:
    """One of the streams that are chained: its pages of headers, and runs of pages between which some are lacking."""

    kind: str
    headers: list[Page]
    to_come: int  # packets of headers
    skip: int = 0  # samples at the beginning of Opus that are counted and not heard
    runs: list[list[Page]] = field(default_factory=list)

    def end(self, run: list[Page]) -> int:
        """Return the sample at which a run ends, as pages count."""
        return max(page.granule for page in run) - self.skip

    @property
    def ended(self) -> bool:
        """Whether its last page is there."""
        return bool(self.runs[-1][-1].flags & _LAST)

    def lost_before(self, number: int) -> int:
        """Return how many pages are lacking between the headers and a run."""
        return max(0, self.runs[number][0].number - self.headers[-1].number - 1)

    def start(self, number: int, samples: float) -> float:
        """Return the sample at which the stream begins, as pages count, if the first ``samples`` stem from that run.

        It may be any, for a stream may be recorded from a broadcast. Pages that are lacking in front of the run hold
        no more than the longest of the others: if that does not lead back to 0, as many are taken off.
        """
        begin, lost = self.end(self.runs[number]) - samples, self.lost_before(number)
        if not lost or begin <= 0:
            return begin
        counts = ([page.granule for page in run if page.granule >= 0] for run in self.runs)
        longest = max((b - a for run in counts for a, b in itertools.pairwise(run)), default=begin)
        return 0 if begin <= (lost + 1) * longest else begin - lost * longest  # a run loses its own beginning, too


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
            body = place + _HEAD + head[26]
            segments = head[_HEAD : _HEAD + head[26]]
            stop = body + sum(segments)
            page = data.at(place, stop - place)
            if len(page) == stop - place and checksum(page) == int.from_bytes(page[22:26], "little"):
                numbers = (int.from_bytes(page[a:b], "little") for a, b in ((14, 18), (18, 22)))
                granule = int.from_bytes(page[6:14], "little", signed=True)
                yield Page(place, body, stop, len(segments) - segments.count(255), page[5], granule, *numbers)
                place = stop
                continue
        while (found := data.find(b"OggS", place + 1, CHUNK)) < 0 and place < data.size:
            place += CHUNK - 4
        place = found if found >= 0 else data.size


def skipping_nothing(page: bytes) -> bytes:
    """Return the first page of Opus so that all samples are heard, as in the middle of a stream."""
    place = page.index(b"OpusHead") + 10
    changed = page[:place] + bytes(2) + page[place + 2 :]
    return changed[:22] + checksum(changed).to_bytes(4, "little") + changed[26:]


def _begun(data: FileBytes, page: Page) -> Link | None:
    """Return the stream of audio that begins with a page; None if it is one of something else."""
    begin = data.at(page.body, 80)
    kind = next((kind for magic, kind in _KINDS.items() if begin.startswith(magic)), "")
    more = {
        "vorbis": 2, "opus": 1, "speex": 1 + int.from_bytes(begin[68:72], "little"),
        "flac": int.from_bytes(begin[7:9], "big") or 1,
    }  # fmt: skip
    skip = int.from_bytes(begin[10:12], "little") if kind == "opus" else 0
    return Link(kind, [page], more[kind], skip) if kind else None


def links(data: FileBytes) -> list[Link]:
    """Return the streams of audio that are chained in a file, in their order."""
    found: list[Link] = []
    previous = None
    for page in pages(data):
        if page.flags & _FIRST:
            if (link := _begun(data, page)) is not None:
                found.append(link)
                previous = page
            continue
        if previous is None or page.serial != previous.serial:
            continue
        link = found[-1]
        if not link.runs and link.to_come > 0 and page.granule <= 0:
            link.headers.append(page)
            link.to_come -= page.ended
        elif link.runs and page.number == previous.number + 1:
            link.runs[-1].append(page)
        else:
            link.runs.append([page])
        previous = page
    for link in found:
        link.runs = [run for run in link.runs if max(page.granule for page in run) >= 0]
    return [link for link in found if link.runs]
