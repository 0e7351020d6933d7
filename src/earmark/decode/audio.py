"""One audio file to mono float32 at one rate and of one length, or a rejection with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.decode.kept import Beginning, Windows
from earmark.decode.reader import RejectedError
from earmark.decode.reading import blocks, open_source
from earmark.decode.stream import Stream, stream

__all__ = [
    "RejectedError", "Stream", "cut", "decode", "decode_blocks", "decode_whole", "describe", "from_stored", "starts",
    "stored", "stream", "to_stored",
]  # fmt: skip


Policy = Literal["pad", "center", "segments"]
REMAINDER = 0.1  # of a segment
SILENT = 1e-4  # peak: -80 dBFS, below what 16 kHz MP3s hold of the faintest music
FULL = 1 - 2**-15  # the largest amplitude of 16 bits
CLIPPED = 1e-3  # share of the samples at full scale
_NOTHING = np.zeros(0, np.float32)
_STEPS = 32768  # of int16 from 0 to full scale


@dataclass(frozen=True)
class Decoded:
    """``waves``: (segments, samples) float32, nominally in [-1, 1].

    ``padded``: how many of its samples are zeros that stand for what the file lacks. ``silent``: the file's peak is
    below SILENT; ``clipped``: more than CLIPPED of its samples reach full scale; both as far as the file was decoded.
    ``incomplete``: what the file lacks of what it says or shows that it has, or empty.
    """

    waves: NDArray[Any]
    padded: int
    silent: bool
    clipped: bool
    incomplete: str = ""


def decode(
    path: Path,
    rate: int,
    samples: int,
    min_seconds: float,
    policy: Policy = "pad",
    segments: int | None = None,
    incomplete: Literal["warn", "reject"] = "warn",
) -> Decoded:
    """Decode a file at ``rate`` Hz into segments of ``samples`` samples, by ``cut``; channels are averaged.

    MP3, WAV, FLAC, OGG, AIFF, AU and what else libsndfile reads, by content and not by name. Sample 0 is the decoder's
    first sample: an encoder's delay (1105 samples and more of silence) is taken off if the file declares it in its LAME
    header; otherwise it stays, for nothing in the file tells how long it is.

    ``pad`` decodes no more than it keeps. All but ``segments`` without a number need memory for what they keep alone.

    Raises RejectedError if the file is absent, empty, not audio, shorter than ``min_seconds``, or not finite; and with
    ``incomplete`` reject if it lacks some of its audio.
    """
    levels = _Levels()
    with stream(path, rate) as blocks:
        if policy == "segments" and segments is None:
            wave = np.concatenate([_NOTHING, *levels.of(blocks)])
            waves, length = cut(wave, samples, policy), len(wave)
        elif policy == "pad":
            kept = Beginning(samples)
            for block in levels.of(blocks):
                kept.add(block)
                if kept.full and blocks.seconds >= min_seconds:
                    break
            waves, length = kept.padded[None], kept.length
        else:
            waves, length = _placed(path, blocks, levels, samples, policy, segments)
        _require_seconds(blocks, min_seconds)
        reason = blocks.incomplete_until(samples / rate if policy == "pad" and length > samples else math.inf)
    if incomplete == "reject" and reason:
        raise RejectedError(f"incomplete: {reason}")
    return Decoded(waves, max(0, samples - length), levels.silent, levels.clipped, reason)


def _placed(
    path: Path, blocks: Stream, levels: _Levels, samples: int, policy: Policy, segments: int | None
) -> tuple[NDArray[np.float32], int]:
    """Return the segments whose places depend on the length of the file, and this length.

    Only the last block tells it for certain: if the file does not have the length that its bytes show, it is decoded
    twice.
    """
    kept = Windows(starts(round(blocks.expected * blocks.rate), samples, policy, segments), samples, blocks.rate)
    for block in levels.of(blocks):
        kept.add(block)
    if kept.length <= samples:
        return cut(kept.beginning(), samples, policy, segments), kept.length
    wanted = starts(kept.length, samples, policy, segments)
    if not kept.holds(wanted):
        kept = Windows(wanted, samples)
        with stream(path, blocks.rate) as again:
            for block in again:
                kept.add(block)
    return np.stack([kept.at(start) for start in wanted]), kept.length


class _Levels:
    """The peak of a wave, and how much of it is at full scale."""

    def __init__(self) -> None:
        self._peak, self._full, self._samples = 0.0, 0, 0

    def of(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield the blocks as they are."""
        for block in blocks:
            peak = max(block.max(initial=0), -block.min(initial=0))
            if peak >= FULL:
                self._full += int(np.count_nonzero(np.abs(block) >= FULL))
            self._peak, self._samples = max(self._peak, float(peak)), self._samples + len(block)
            yield block

    @property
    def silent(self) -> bool:
        return self._peak < SILENT

    @property
    def clipped(self) -> bool:
        return self._full > CLIPPED * self._samples


def cut(wave: NDArray[np.float32], samples: int, policy: Policy, segments: int | None = None) -> NDArray[np.float32]:
    """Cut a wave into segments of one length: (samples of the file,) -> (segments, samples).

    ``pad`` takes the beginning, ``center`` the middle; what is missing are zeros after it, or on both sides.
    ``segments`` cuts all of a longer file: into as many segments as are asked for, evenly spaced from its beginning to
    its end, or else one after the other. In the latter case the last one ends where the file ends, and a remainder of
    up to a tenth of a segment is left out.
    """
    lacking = samples - len(wave)
    if lacking >= 0:
        before = lacking // 2 if policy == "center" else 0
        return np.pad(wave, (before, lacking - before))[None]
    places = starts(len(wave), samples, policy, segments)
    if len(places) == 1:
        return wave[None, places[0] : places[0] + samples]
    return np.stack([wave[start : start + samples] for start in places])


def starts(length: int, samples: int, policy: Policy, segments: int | None = None) -> list[int]:
    """Return where the segments begin into which ``cut`` cuts a wave of ``length`` samples."""
    more = length - samples
    if more <= 0 or policy == "pad":
        return [0]
    if policy == "center":
        return [more // 2]
    if segments is not None:
        return [int(place) for place in np.linspace(0, more, segments).round()]
    whole, remainder = divmod(length, samples)
    return [samples * i for i in range(whole)] + [more] * (remainder > REMAINDER * samples)


def to_stored(waves: NDArray[np.float32], dtype: Literal["int16", "float32"]) -> NDArray[Any]:
    """Waves, nominally in [-1, 1], as a shard stores them: int16 rounds, and clips what is beyond full scale."""
    if dtype == "float32":
        return waves
    steps = waves * np.float32(_STEPS)
    return np.clip(np.rint(steps, out=steps), -_STEPS, _STEPS - 1, out=steps).astype(np.int16)


def stored(path: Path, dtype: Literal["int16", "float32"], *settings: Any) -> Decoded:
    """Decode a file by ``decode`` with these settings; the waves are as a shard stores them."""
    decoded = decode(path, *settings)
    return replace(decoded, waves=to_stored(decoded.waves, dtype))


def from_stored(raw: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored waves as float32, int16 divided by full scale: what every representation and network hears."""
    return np.asarray(raw, np.float32) * np.float32(1 / _STEPS if raw.dtype == np.int16 else 1)


def decode_whole(path: Path, rate: int, min_seconds: float) -> NDArray[np.float32]:
    """Decode all of a file, which should be short, to mono float32 at ``rate`` Hz; RejectedError as in ``decode``."""
    return np.concatenate([_NOTHING, *(b for b in decode_blocks(path, rate, min_seconds) if not isinstance(b, str))])


def decode_blocks(
    path: Path, rate: int, min_seconds: float, incomplete: Literal["warn", "reject"] = "warn"
) -> Iterator[NDArray[np.float32] | str]:
    """Yield what ``decode_whole`` returns in blocks, and behind them, as a text, what the file lacks, if anything.

    Raises RejectedError as ``decode``, behind the last block if all of them are too short, or the file is incomplete.
    """
    with stream(path, rate) as blocks:
        yield from blocks
        _require_seconds(blocks, min_seconds)
        lacking = blocks.incomplete
    if lacking and incomplete == "reject":
        raise RejectedError(f"incomplete: {lacking}")
    if lacking:
        yield lacking


def _require_seconds(blocks: Stream, least: float) -> None:
    why = f" ({blocks.incomplete})" if blocks.incomplete else ""
    if blocks.seconds == 0:
        raise RejectedError(f"no audio frames{why}")
    if blocks.seconds < least:
        raise RejectedError(f"too short: {blocks.seconds:.2f} s, at least {least:g} s are needed{why}")


def describe(path: Path, hear: Callable[[int, NDArray[np.float32]], object] = lambda *_: None) -> str:
    """Describe a file in one line: seconds, rate, channels, format, levels. Raises RejectedError as ``decode``.

    hear: is given the rate in Hz of every block, and the block, (frames, channels).
    """
    source = open_source(path)
    seconds, peak, power, samples = 0.0, 0.0, 0.0, 0
    try:
        for rate, block in blocks(source):
            seconds += len(block) / rate
            samples += block.size
            hear(rate, block)
            peak = max(peak, float(np.abs(block).max(initial=0)))
            power += float(np.square(block, dtype=np.float64).sum())
    finally:
        source.close()
    about = f"{seconds:.2f} s, {source.rate} Hz, {source.channels} channels, {source.format}"
    mean = power / samples if samples else 0.0
    lacking = f"; {reason}" if (reason := source.incomplete()) else ""
    return f"{about}, peak {_decibels(peak):.1f} dBFS, RMS {_decibels(mean**0.5):.1f} dBFS{lacking}"


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, 1e-10)))
