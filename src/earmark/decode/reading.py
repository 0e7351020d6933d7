"""The samples of one audio file at its own rate, in blocks, or a rejection with its reason."""

from __future__ import annotations

import contextlib
import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from earmark.decode import containers, foreign
from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.flac import FlacSource
from earmark.decode.mpeg import tags
from earmark.decode.mpeg.source import MpegSource
from earmark.decode.ogg import OggSource
from earmark.decode.reader import Block, RejectedError, unreadable
from earmark.decode.sound import SoundSource

# what a tag of MPEG files may stand in front of, by mistake
_BEHIND_TAGS = (b"fLaC", b"OggS", b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b".snd", b"dns.", b"caff")
_OTHERS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


class Source(Protocol):
    """One audio file as it is decoded. data: its bytes. rate (Hz), channels, format: of its beginning."""

    data: FileBytes
    rate: int
    channels: int
    format: str

    @property
    def seconds(self) -> float:
        """How much is there as far as the bytes show before they are decoded; 0 if they do not."""

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds, empty if nothing is.

        The last block may bring more to light than the bytes did.
        """

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1], a bounded number at a time."""

    def close(self) -> None:
        """Let go of the file."""


def open_source(path: Path) -> Source:
    """Open an audio file.

    Raises RejectedError if it is absent, no regular file, empty or no audio, DiskError if its disk fails.
    """
    try:
        _require_file(path)
        return _read(path)
    except OSError as error:
        raise unreadable(error) from None


def _require_file(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a name with a zero byte
        raise RejectedError("no such file") from None
    if not stat.S_ISREG(status.st_mode):
        raise RejectedError(f"{_OTHERS.get(stat.S_IFMT(status.st_mode), 'a device')}, no regular file")
    if status.st_size == 0:
        raise RejectedError("empty file (0 bytes)")


def blocks(source: Source) -> Iterator[Block]:
    """Yield the blocks of a source. Raises RejectedError as it does, and DiskError if its disk fails."""
    try:
        for block in source.blocks():
            source.data.check()
            yield block
        source.data.check()
    except OSError as error:
        raise unreadable(error) from None


def _read(path: Path) -> Source:
    with contextlib.ExitStack() as closing:
        data = FileBytes(closing.enter_context(path.open("rb")))
        closing.callback(data.close)
        try:
            source = _opened(data)
        finally:
            data.check()  # what failed is why it cannot be read
        closing.pop_all()
        return source


def _opened(data: FileBytes) -> Source:
    front = tags.front(data)
    if front and data.at(front, 4) in _BEHIND_TAGS:
        return _opened(data.part(front, data.size))
    if reason := foreign.kind(data):
        raise RejectedError(reason)
    if data.at(0, 4) == b"OggS":
        return OggSource(data)
    told = containers.told(data)
    if data.at(0, 4) == b"fLaC":
        return FlacSource(data)
    if told is not None and not told.mpeg:
        return SoundSource(data)
    try:
        return MpegSource(data, told.data[0] if told is not None and told.data is not None else 0)
    except RejectedError:
        if data.at(front, 1) == b"\xff" or data.at(0, 3) == b"ID3":
            raise  # libsndfile would take it for MPEG, too
    try:
        return SoundSource(data)
    except RejectedError:
        raise RejectedError("no MPEG frame found, and no other kind of audio that is known") from None
