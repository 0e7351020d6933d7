"""Ogg files as they are decoded: chained streams one after the other, and silence where pages are damaged (RFC 3533).

A page says at which sample it ends, and carries a checksum and a number, so that what is lacking is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

import soundfile

from earmark.decode.bytes_of_file import FileBytes, Spliced
from earmark.decode.flac import FlacSource
from earmark.decode.ogg_pages import Link, links, skipping_nothing
from earmark.decode.reader import Block, Reader, RejectedError, silence
from earmark.decode.sound import SoundSource, require_limits

_OPUS_RATE = 48_000  # Hz in which pages of Opus count, whatever the rate
_FLAC_MAPPING = 9  # bytes in front of what a FLAC file begins with


class _Form(NamedTuple):
    """rate: Hz. unit: Hz in which pages count. start: the sample at which the stream begins, as pages count."""

    rate: int
    channels: int
    unit: int
    start: float


def _flac(data: FileBytes, link: Link) -> FlacSource:
    """Return FLAC without the pages around it: what stands in them, joined, is such a file."""
    first, *others = [*link.headers, *(page for run in link.runs for page in run)]
    pieces = [(first.body + _FLAC_MAPPING, first.stop), *((page.body, page.stop) for page in others)]
    unwrapped = FileBytes(cast(BinaryIO, Spliced(data, pieces)))
    try:
        return FlacSource(unwrapped)
    except BaseException:
        unwrapped.close()
        raise


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
        self._whole: SoundSource | FlacSource | None = None
        first = self._links[0]
        if any(link.kind == "flac" for link in self._links):
            if len(self._links) > 1:
                raise RejectedError("FLAC in Ogg that is chained with other streams: convert it to FLAC")
            self._whole = _flac(data, first)
            self.rate, self.channels, self.seconds = self._whole.rate, self._whole.channels, self._whole.seconds
            return
        self._forms = [self._form(link) for link in self._links]
        self.rate, self.channels = self._forms[0].rate, self._forms[0].channels
        self.seconds = sum(
            (max(link.end(run) for run in link.runs) - form.start) / form.unit
            for link, form in zip(self._links, self._forms, strict=True)
        )
        if len(self._links) == len(first.runs) == 1 and not first.lost_before(0):
            self._whole = SoundSource(data)

    def _form(self, link: Link) -> _Form:
        """Return the form of the first run that can be decoded. Raises RejectedError if there is none."""
        reason = RejectedError()
        for number in range(len(link.runs)):
            try:
                with self._opened(link, number) as reader:
                    require_limits(reader.samplerate, reader.channels)
                    rate = int(reader.samplerate)
                    unit = _OPUS_RATE if link.kind == "opus" else rate
                    return _Form(rate, reader.channels, unit, link.start(number, reader.frames * unit / rate))
            except RejectedError as error:
                reason = error
        raise reason

    def _opened(self, link: Link, number: int) -> Reader:
        run = link.runs[number]
        pieces: list[tuple[int, int] | bytes] = [(page.start, page.stop) for page in link.headers]
        if link.kind == "opus" and (number or link.lost_before(0)):
            first = link.headers[0]
            pieces[0] = skipping_nothing(self.data.at(first.start, first.stop - first.start))
        try:
            return Reader(Spliced(self.data, [*pieces, (run[0].start, run[-1].stop)]))
        except soundfile.LibsndfileError as error:
            raise RejectedError(f"not decodable: {error.error_string}") from None

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        if self._whole is not None:
            yield from self._whole.blocks()
            return
        begin = 0.0
        for link, form in zip(self._links, self._forms, strict=True):
            rate, place = form.rate, 0  # in samples of the link
            for number, run in enumerate(link.runs):
                count = sum(len(block) for _, block in self._decoded(link, number, form))
                lacking = round((link.end(run) - form.start) * rate / form.unit) - count - place
                if number == 0 and not link.lost_before(0):
                    lacking = 0  # what cannot be decoded of it is behind what can
                if lacking > 0:
                    self._lost.append((begin + place / rate, lacking / rate))
                    yield from silence(rate, lacking, form.channels)
                skip = max(0, -lacking)  # what stands in both of two runs
                for _, block in self._decoded(link, number, form):
                    yield rate, block[skip:]
                    skip = max(0, skip - len(block))
                place += lacking + count
            begin += place / rate

    def _decoded(self, link: Link, number: int, form: _Form) -> Iterator[Block]:
        """Yield what is decoded of a run: as far as it can be, be it nothing."""
        try:
            with self._opened(link, number) as reader:
                if (reader.samplerate, reader.channels) == (form.rate, form.channels):
                    for block in reader.blocks_until_the_end():
                        yield form.rate, block
        except (RejectedError, soundfile.LibsndfileError):
            pass  # the next run tells by its place how much is lost

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds; of damaged pages after they were passed."""
        reasons = []
        lost = [(place, length) for place, length in self._lost if place < until]
        if lost:
            seconds = sum(length for _, length in lost)
            reasons.append(f"damaged at {lost[0][0]:.1f} s, {seconds:.2f} s are silent in all")
        if self._whole is not None and (reason := self._whole.incomplete(until)):
            reasons.append(reason)
        if until >= self.seconds and not all(link.ended for link in self._links):
            reasons.append(f"ends at {self.seconds:.1f} s without its last page: the file is cut off")
        return "; ".join(reasons)

    def close(self) -> None:
        """Let go of the file."""
        if self._whole is not None:
            self._whole.close()
        self.data.close()
