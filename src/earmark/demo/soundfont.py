"""A small player of SoundFont 2 files. It knows what a General MIDI set of sounds needs of the format (version 2.04).

It ignores modulators, low-frequency oscillators, the modulation envelope, resonance and panning. The same call gives
the same samples in every process, every note is in tune, and every note may have its own gain. Sections are those of
the format's specification.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly  # type: ignore[import-untyped]

from earmark.errors import EarmarkError

Wave = NDArray[np.float64]
DRUM_BANK = 128
VELOCITY = 100  # chooses the layer of a sound only; the caller's gain sets the loudness
MAX_RELEASE = 1.5  # seconds
DRUM_SECONDS = 1.5
OPEN_FILTER = 13_500  # cents above 8.176 Hz: the default cut-off, which is as good as no filter
DECAY_DB = 100.0  # section 8.1.3: in the decay or release time, the sound falls by 100 dB

# generators, section 8.1.2
(START, END, LOOP_START, LOOP_END, START_COARSE) = range(5)
FILTER, END_COARSE, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 8, 12, 34, 35, 36, 37, 38
INSTRUMENT, KEYS, VELOCITIES, LOOP_START_COARSE, ATTENUATION = 41, 43, 44, 45, 48
LOOP_END_COARSE, TUNE_COARSE, TUNE_FINE, SAMPLE, LOOPS, SCALE, ROOT = 50, 51, 52, 53, 54, 56, 58
DEFAULTS = {FILTER: OPEN_FILTER, ATTACK: -12000, HOLD: -12000, DECAY: -12000, RELEASE: -12000, SCALE: 100, ROOT: -1}
# generators whose value in a preset is added to that of its instrument
ADDED = (FILTER, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE, ATTENUATION, TUNE_COARSE, TUNE_FINE, SCALE)

Generators = dict[int, int]


@dataclass(frozen=True)
class Zone:
    """A recording, and how it is played for a range of keys.

    start, end, loop: indices into the font's samples. attack, hold, decay, release: seconds.
    """

    keys: tuple[int, int]
    start: int
    end: int
    loop: tuple[int, int] | None
    rate: float  # Hz: that of the recording, changed by its tuning
    root: float  # the recording's MIDI pitch
    scale: float  # semitones per key
    gain: float
    cutoff: float | None  # Hz
    attack: float
    hold: float
    decay: float
    sustain_db: float
    release: float


class Soundfont:
    """A font in memory; `play` renders notes with one of its programs.

    Raises EarmarkError if the file is not a SoundFont 2 file.
    """

    def __init__(self, path: Path) -> None:
        chunks = _chunks(path.read_bytes())
        if missing := {b"smpl", b"phdr", b"shdr"} - set(chunks):
            raise EarmarkError(f"{path} is no SoundFont 2 file: it lacks the chunks {sorted(missing)}")
        self._samples = np.frombuffer(chunks[b"smpl"], "<i2").astype(np.float64) / 32768.0
        self._headers = list(struct.iter_unpack("<20s5I2B2H", chunks[b"shdr"]))
        instruments = [bag for _, bag in struct.iter_unpack("<20sH", chunks[b"inst"])]
        self._instruments = _zones(instruments, chunks[b"ibag"], chunks[b"igen"])
        presets = list(struct.iter_unpack("<20s3H3I", chunks[b"phdr"]))
        bags = _zones([preset[3] for preset in presets], chunks[b"pbag"], chunks[b"pgen"])
        self._presets = {(p[2], p[1]): zones for p, zones in zip(presets[:-1], bags, strict=True)}
        self._found: dict[tuple[int, int], list[Zone]] = {}

    def play(self, events: Wave, program: int, drums: bool, rate: int, size: int) -> Wave:
        """Return the sound of the notes, as `size` samples at `rate` Hz.

        events: (notes, 4): onset and duration in seconds, MIDI pitch, gain. A drum rings for DRUM_SECONDS, whatever its
        duration.

        Raises EarmarkError if the font has no such program.
        """
        wave = np.zeros(size)
        zones = self._program(DRUM_BANK if drums else 0, program)
        for pitch in np.unique(events[:, 2]):
            notes = events[events[:, 2] == pitch][:, [0, 1, 3]]
            notes[:, 1] = DRUM_SECONDS if drums else notes[:, 1]
            for zone in zones:
                if zone.keys[0] <= pitch <= zone.keys[1]:
                    self._repeat(wave, zone, float(pitch), notes, rate)
        return wave

    def _repeat(self, wave: Wave, zone: Zone, pitch: float, notes: Wave, rate: int) -> None:
        """Add all notes of one pitch to `wave`.

        The longest note is computed once; each note is its beginning, with a release of its own.
        """
        longest = self._held(zone, pitch, float(notes[:, 1].max()) + zone.release, rate)
        fading = 10 ** (-np.arange(int(zone.release * rate) + 1) / rate / zone.release * DECAY_DB / 20)
        for onset, duration, gain in notes:
            first, held = int(onset * rate), int(duration * rate)
            if first >= wave.size:
                continue
            note = longest[: min(held + fading.size, wave.size - first)] * gain
            note[held:] *= fading[: max(note.size - held, 0)]
            wave[first : first + note.size] += note

    def _program(self, bank: int, program: int) -> list[Zone]:
        """Return the zones of a program: those of its preset combined with those of the preset's instruments."""
        if (bank, program) not in self._presets:
            raise EarmarkError(f"the soundfont has no program {program} in bank {bank}")
        if (bank, program) not in self._found:
            self._found[bank, program] = [
                self._zone(inner, outer)
                for outer in self._presets[bank, program]
                if INSTRUMENT in outer
                for inner in self._instruments[outer[INSTRUMENT]]
                if SAMPLE in inner and _covers(outer) and _covers(inner)
            ]
        return self._found[bank, program]

    def _zone(self, inner: Generators, outer: Generators) -> Zone:
        """Return the zone of an instrument's generators, which set values, and a preset's, which add to them."""
        g = {**dict.fromkeys(ADDED, 0), **DEFAULTS, **inner}
        g |= {key: g[key] + outer.get(key, 0) for key in ADDED}
        _, start, end, loop_start, loop_end, rate, pitch, cents, _, _ = self._headers[g[SAMPLE]]
        cents = cents - 256 if cents > 127 else cents
        offset = {key: inner.get(key, 0) for key in range(60)}
        loop = (
            loop_start + offset[LOOP_START] + 32768 * offset[LOOP_START_COARSE],
            loop_end + offset[LOOP_END] + 32768 * offset[LOOP_END_COARSE],
        )
        (low, high), (low2, high2) = _range(inner, KEYS), _range(outer, KEYS)
        return Zone(
            keys=(max(low, low2), min(high, high2)),
            start=start + offset[START] + 32768 * offset[START_COARSE],
            end=end + offset[END] + 32768 * offset[END_COARSE],
            loop=loop if inner.get(LOOPS, 0) & 1 and loop[1] - loop[0] > 1 else None,
            rate=rate * 2 ** (g[TUNE_COARSE] / 12 + (g[TUNE_FINE] + cents) / 1200),
            root=float(g[ROOT] if g[ROOT] >= 0 else pitch),
            scale=g[SCALE] / 100,
            gain=10 ** (-max(g[ATTENUATION], 0) / 200),
            cutoff=8.176 * 2 ** (g[FILTER] / 1200) if g[FILTER] < OPEN_FILTER else None,
            attack=_seconds(g[ATTACK]),
            hold=_seconds(g[HOLD]),
            decay=_seconds(g[DECAY]),
            sustain_db=min(max(g[SUSTAIN], 0) / 10, DECAY_DB),
            release=min(_seconds(g[RELEASE]), MAX_RELEASE),
        )

    def _held(self, zone: Zone, pitch: float, seconds: float, rate: int) -> Wave:
        """Return a note that is never released: the recording, played at the speed that gives the pitch.

        It is read at twice the rate by linear interpolation, then decimated; otherwise high notes would alias.
        """
        step = zone.rate / (2 * rate) * 2 ** ((pitch - zone.root) * zone.scale / 12)
        size = int(2 * seconds * rate) + 2
        if zone.loop is None:
            size = max(min(size, int((zone.end - 2 - zone.start) / step)), 0)
        place = zone.start + step * np.arange(size)
        if zone.loop is not None:
            first, last = zone.loop
            turned = min(max(int(np.ceil((last - zone.start) / step)), 0), size)
            place[turned:] = first + np.fmod(place[turned:] - first, last - first)
        before = place.astype(np.int64)  # the sample after a loop's end equals the one after its start (section 7.10)
        low = self._samples[before]
        note = low + (self._samples[before + 1] - low) * (place - before)
        if zone.cutoff is not None:
            note = _low_pass(note, min(zone.cutoff, 0.45 * rate), 2 * rate)
        note = resample_poly(note, 1, 2)
        t = np.arange(note.size) / rate
        fall = np.clip((t - zone.attack - zone.hold) / zone.decay * DECAY_DB, 0.0, zone.sustain_db)
        result: Wave = note * (zone.gain * np.minimum(t / zone.attack, 1.0) * 10 ** (-fall / 20))
        return result


def _low_pass(wave: Wave, cutoff: float, rate: int) -> Wave:
    """Return the wave behind a second-order Butterworth low-pass, made by the bilinear transform. cutoff, rate: Hz."""
    k = np.tan(np.pi * cutoff / rate)
    a0 = 1 + np.sqrt(2) * k + k**2
    b = np.array([1.0, 2.0, 1.0]) * k**2 / a0
    a = np.array([1.0, 2 * (k**2 - 1) / a0, (1 - np.sqrt(2) * k + k**2) / a0])
    result: Wave = lfilter(b, a, wave)
    return result


def _seconds(timecents: int) -> float:
    return float(2 ** (timecents / 1200))


def _range(generators: Generators, key: int) -> tuple[int, int]:
    """Return the ends of a range, which a generator holds in two bytes; 0 and 127 if it is absent."""
    value = generators.get(key, 0x7F00) & 0xFFFF
    return value & 0xFF, value >> 8


def _covers(generators: Generators) -> bool:
    low, high = _range(generators, VELOCITIES)
    return low <= VELOCITY <= high


def _chunks(data: bytes, start: int = 12) -> dict[bytes, bytes]:
    """Return the chunks of a RIFF file by name, those inside its lists included."""
    found: dict[bytes, bytes] = {}
    place = start
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        body = data[place + 8 : place + 8 + size]
        found |= _chunks(body, 4) if name == b"LIST" else {name: body}
        place += 8 + size + size % 2
    return found


def _zones(first_bags: list[int], bags: bytes, generators: bytes) -> list[list[Generators]]:
    """Return the zones of each preset or instrument, with the values of its global zone filled in.

    The last preset or instrument only marks the end of the list.
    """
    rows = list(struct.iter_unpack("<Hh", generators))
    bounds = [first for first, _ in struct.iter_unpack("<2H", bags)]
    result = []
    for first, last in pairwise(first_bags):
        zones = [dict(rows[bounds[bag] : bounds[bag + 1]]) for bag in range(first, last)]
        common = zones[0] if zones and not {INSTRUMENT, SAMPLE} & set(zones[0]) else {}
        result.append([{**common, **zone} for zone in zones])
    return result


@cache
def load(path: Path) -> Soundfont:
    """Return a font, which is read once per process."""
    return Soundfont(path)
