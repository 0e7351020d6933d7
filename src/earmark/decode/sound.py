"""Every kind of file but MPEG as it is decoded: by libsndfile, and what it announces is compared with what comes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.decode import containers
from earmark.decode.bytes_of_file import FileBytes, Spliced
from earmark.decode.reader import Block, Reader, RejectedError

RATES = (1_000, 768_000)  # Hz
CHANNELS = 64
_EMPTY = 256  # bytes of a packet of Apple Lossless: one with more does not hold zeros alone
UNKNOWN = 1 << 62  # samples: what libsndfile says of a file that does not tell, or more
_BYTES = {
    "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1,
}  # fmt: skip


def require_limits(rate: float, channels: int) -> None:
    """Raise RejectedError for a rate or a number of channels that no music has."""
    low, high = RATES
    if not low <= rate <= high:
        raise RejectedError(f"a sampling rate of {rate:g} Hz, it must be {low} to {high} Hz: its header is damaged")
    if not 1 <= channels <= CHANNELS:
        raise RejectedError(f"{channels} channels, there may be 1 to {CHANNELS}: its header is damaged")


class _Packets:
    """Apple Lossless: libsndfile gives zeros for a packet that it cannot decode, and says nothing.

    sizes: bytes of each packet. each: samples of a packet.
    """

    def __init__(self, sizes: tuple[int, ...], each: int) -> None:
        self._each, self._full = each, np.array(sizes) > _EMPTY
        self._sounds = np.zeros(len(sizes), bool)

    def hear(self, block: NDArray[np.float32], place: int) -> None:
        """Note which packets hold more than zeros in a block that begins at the sample ``place``."""
        if self._each:
            heard = np.unique((np.flatnonzero(block.any(axis=1)) + place) // self._each)
            self._sounds[heard[heard < len(self._sounds)]] = True

    def lost(self, until: float) -> tuple[int, int] | None:
        """Return the first sample that is lost in front of the sample ``until``, and how many are; None if none is."""
        lost = np.flatnonzero(self._full & ~self._sounds) * self._each
        lost = lost[lost < until]
        return (int(lost[0]), len(lost) * self._each) if len(lost) else None


class SoundSource:
    """The samples of a file that libsndfile reads, as ``reading.Source`` describes it.

    Raises RejectedError if libsndfile cannot read it, or if its header says what no music has.
    """

    def __init__(self, data: FileBytes) -> None:
        self.data = data
        self._told = containers.told(data) or containers.Told()
        if self._told.rate or self._told.channels:
            require_limits(self._told.rate, self._told.channels)
        self._reader = self._opened()
        self.rate, self.channels, self.format = int(self._reader.samplerate), self._reader.channels, self._format
        self._samples, self._ended = 0, False
        self._packets = _Packets(self._told.packets, self._told.of_packet) if self._lossless else None

    def _opened(self) -> Reader:
        told = self._told
        try:
            if told.subtype:
                reader = self._raw(int(told.rate), told.channels, told.subtype)
            else:
                reader = Reader(self.data.whole())
        except soundfile.LibsndfileError as error:
            raise RejectedError(f"not decodable: {error.error_string}") from None
        require_limits(reader.samplerate, reader.channels)
        self._format, self._lossless = "W64" if told.subtype else reader.format, reader.subtype.startswith("ALAC")
        known = reader.frames < UNKNOWN
        self._held = self._wanted = reader.frames if known else 0
        self._doubt = told.doubt
        if not known or told.data is None:
            return reader
        extent, size = told.data[1] - told.data[0], _BYTES.get(reader.subtype, 0) * reader.channels
        self._held = extent // size if size else min(reader.frames, told.most)
        share = max(1.0, (told.size or 0) / max(1, extent))  # of what should be there to what is
        self._wanted = max(math.ceil(self._held * share), told.samples or 0)
        if not size and told.size is not None and told.size < extent:
            self._doubt = told.doubt or f"its header says {told.size} bytes of samples, and {extent} follow it"
        if not size or self._held == reader.frames:
            return reader
        reader.close()
        return self._raw(reader.samplerate, reader.channels, reader.subtype)

    def _raw(self, rate: int, channels: int, subtype: str) -> Reader:
        """Return samples that libsndfile would miscount or misread, by their place in the file."""
        assert self._told.data is not None
        how = {"samplerate": rate, "channels": channels, "subtype": subtype, "format": "RAW"}
        return Reader(Spliced(self.data, [self._told.data]), endian="BIG" if self._told.big else "LITTLE", **how)

    @property
    def seconds(self) -> float:
        """How much is there, as far as the bytes show; 0 if they do not."""
        return self._held / self.rate

    def incomplete(self, until: float = math.inf) -> str:
        """Return what is lacking in the first ``until`` seconds."""
        held = self._samples if self._ended else self._held
        if held < self._wanted and until >= held / self.rate:
            return f"ends at {held / self.rate:.1f} s of {self._wanted / self.rate:.1f} s: it is damaged or cut off"
        lost = self._packets.lost(until * self.rate) if self._packets is not None and self._ended else None
        if lost is not None:
            return f"damaged at {lost[0] / self.rate:.1f} s, {lost[1] / self.rate:.2f} s are silent in all"
        return self._doubt

    def blocks(self) -> Iterator[Block]:
        """Yield the rate in Hz, and samples (samples, channels) in [-1, 1]."""
        try:
            for whole in self._reader.blocks_until_the_end():
                block = whole[: max(0, self._told.most - self._samples)]
                if self._packets is not None:
                    self._packets.hear(block, self._samples)
                self._samples += len(block)
                yield self.rate, block
        except soundfile.LibsndfileError as error:
            if not self._samples:
                raise RejectedError(f"not decodable: {error.error_string}") from None
        self._ended = True

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self.data.close()
