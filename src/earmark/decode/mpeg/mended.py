"""The frames of an MPEG file, decoded in their places: silence stands where one is lost, so that nothing moves.

Frames go to the decoder as a clean stream in memory. It has state: a frame of layer III takes bytes from those before
it, and adds to the last samples of them. So frames are decoded in stretches, each with some frames in front that are
not heard, and the samples are the same as in one go.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.mpeg import headers, tags
from earmark.decode.mpeg.frames import SILENT, Frames
from earmark.decode.reader import Reader

_STRETCH = 2000  # frames: 50 s, at most 2 MB
_BEFORE = 32  # frames in front of a stretch that are not heard


@dataclass(frozen=True)
class Part:
    """Frames of one rate and number of channels, ``first`` to ``stop``, and which of their samples are the music's.

    said: what the frame before them says of them, if there is one.
    """

    first: int
    stop: int
    head: int
    skip: int
    samples: int
    said: tags.Announced | None

    @property
    def rate(self) -> int:
        """The sampling rate in Hz."""
        return headers.rate(self.head)

    @property
    def channels(self) -> int:
        """One or two."""
        return headers.channels(self.head)


def parts(data: FileBytes, frames: Frames) -> list[Part]:
    """Divide a file where its rate, its channels or its track change."""
    if not len(frames):
        return []
    form = frames.head & headers.KIND | (frames.head & headers.MODE == headers.MONO)
    edges = sorted({0, *frames.starts, *(np.flatnonzero(np.diff(form)) + 1).tolist(), len(frames)})
    found = [_part(data, frames, first, stop) for first, stop in itertools.pairwise(edges)]
    return [part for part in found if part.stop > part.first or part.said is not None]


def _part(data: FileBytes, frames: Frames, first: int, stop: int) -> Part:
    head, said = int(frames.head[first]), None
    if frames.place[first] != SILENT:
        said = tags.announced(_bytes(data, frames, first), head)
    first += said is not None
    length, skip, left_out = (stop - first) * headers.samples(head), 0, 0
    if said is not None and said.delay is not None:
        skip = min(length, said.delay + tags.DECODER_DELAY)
        if said.frames <= stop - first:  # otherwise the end is not there
            left_out = max(0, said.padding - tags.DECODER_DELAY)
    return Part(first, stop, head, skip, max(0, length - skip - left_out), said)


def _bytes(data: FileBytes, frames: Frames, number: int) -> bytes:
    """Return a frame as it should be."""
    place, head = int(frames.place[number]), int(frames.head[number])
    if place == SILENT:
        return headers.silent(head)
    body = data.at(place + 4, int(frames.size[number]) - 4)
    if number in frames.muted:
        blank = headers.side_information(head) if headers.layer(head) == 3 else len(body)
        head, body = head | headers.PROTECTION, bytes(blank) + body[blank:]
    return head.to_bytes(4, "big") + body


def _all_bytes(data: FileBytes, frames: Frames, numbers: range) -> bytes:
    """Return some frames as they should be, in one go if that is how they stand in the file."""
    place, size = frames.place[numbers.start : numbers.stop], frames.size[numbers.start : numbers.stop]
    if not frames.mended and not frames.muted and (place[1:] == place[:-1] + size[:-1]).all() and place[0] != SILENT:
        return data.at(int(place[0]), int(size.sum()))
    return b"".join(_bytes(data, frames, number) for number in numbers)


def decoded(data: FileBytes, frames: Frames, part: Part, start: int = 0) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of a part from sample ``start`` on, (samples, channels).

    A frame that the decoder refuses is silent, and becomes one of the muted.
    """
    per_frame = headers.samples(part.head)
    begin, end = part.skip + start, part.skip + part.samples
    for first in range(part.first + begin // per_frame, part.stop, _STRETCH):
        stop = min(first + _STRETCH, part.stop)
        place = (first - part.first) * per_frame
        for block in _stretch(data, frames, part, first, stop):
            wanted = block[max(0, begin - place) : max(0, end - place)]
            place += len(block)
            if len(wanted):
                yield wanted


def _stretch(data: FileBytes, frames: Frames, part: Part, first: int, stop: int) -> Iterator[NDArray[np.float32]]:
    """Yield all samples of some frames; where the decoder fails, find the frame that it refuses, and mute it."""
    wanted = (stop - first) * headers.samples(part.head)
    before = range(max(part.first, first - _BEFORE), stop)
    found = _samples(headers.silent(part.head) + _all_bytes(data, frames, before))
    if found.shape[1] == part.channels and len(found) == (1 + len(before)) * headers.samples(part.head):
        yield found[-wanted:]
    elif stop - first > 1:
        middle = (first + stop) // 2
        yield from _stretch(data, frames, part, first, middle)
        yield from _stretch(data, frames, part, middle, stop)
    else:
        if first not in frames.muted:
            frames.muted.add(first)
            frames.lost.append((first, 1))
        yield np.zeros((wanted, part.channels), np.float32)


def _samples(stream: bytes) -> NDArray[np.float32]:
    """Decode a stream in memory."""
    try:
        # The first frame is the smallest there is: by its size the decoder reckons how long the stream is at most.
        with Reader(io.BytesIO(stream)) as file:
            return np.concatenate([*file.blocks_until_the_end()])
    except (soundfile.LibsndfileError, ValueError):  # no block
        return np.zeros((0, 0), np.float32)
