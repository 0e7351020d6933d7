"""Turn a score into the notes that each instrument of an ensemble plays in one excerpt, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.demo.orchestra import INSTRUMENTS, Instrument, Voice
from earmark.demo.plan import ClipPlan
from earmark.demo.scores import Notes, Score

Events = NDArray[np.float64]  # (n, 4): onset and duration in seconds, MIDI pitch, gain; sorted by onset
PLAYED = 28.6  # seconds in which notes begin; during the rest of the clip they only ring
TOGETHER = 0.04  # seconds; onsets closer than this count as one
ONSETS = {"slow": (0.6, 1.25), "medium": (2.0, 3.8), "fast": (6.0, 9.0)}  # the tempo aims at so many per second
TECHNO_BPM = (118.0, 148.0)
PULSE_BPM = 75.0  # the pulse lies between this and twice this
LOW_CENTRE = 40.0  # MIDI pitch around which low arrangements lie
SOFT = 0.5  # gain of an unaccented note

# strokes of a bar of four beats: (place in beats, General MIDI percussion note, gain)
PATTERNS: dict[str, tuple[tuple[float, int, float], ...]] = {
    "techno": (
        *((float(b), 36, 1.0) for b in range(4)),
        *((b + 0.5, 46, SOFT) for b in range(4)),
        *((b / 2, 42, SOFT) for b in range(8)),
        *((float(b), 39, SOFT) for b in (1, 3)),
    ),
    "rock": (
        *((float(b), 36, 1.0) for b in (0, 2)),
        *((float(b), 38, 1.0) for b in (1, 3)),
        *((b / 2, 42, SOFT) for b in range(8)),
    ),
    "march": (
        *((float(b), 36, 1.0) for b in (0, 2)),
        *((float(b), 38, 1.0) for b in range(4)),
        (3.5, 38, SOFT),
        (3.75, 38, SOFT),
    ),
    "brushes": (
        *((float(b), 51, 1.0) for b in range(4)),
        (1.67, 51, SOFT),
        (3.67, 51, SOFT),
        (0.0, 35, 1.0),
        (2.0, 35, SOFT),
    ),
    "tambour": (*((float(b), 41, 1.0) for b in range(4)), (1.5, 54, SOFT), (3.5, 54, SOFT), (2.5, 45, SOFT)),
}
STEADY = ("rock", "march", "brushes", "tambour")
HANDS = (60, 61, 62, 63, 64, 45, 54, 69)  # bongos, congas, a tom, a tambourine, a cabasa
KITS = (0, 8, 16, 40)
MACHINES = (24, 25)  # the electronic kit and the TR-808


@dataclass(frozen=True)
class Line:
    """The notes of one instrument in the excerpt, or of the drums if `voice` is None."""

    events: Events
    program: int
    gain_db: float
    voice: Voice | None = None


@dataclass(frozen=True)
class Arrangement:
    """The lines of an excerpt, and its pulse in beats per minute."""

    lines: tuple[Line, ...]
    pulse_bpm: float
    machine: bool  # whether a drum machine plays the drums


def arrange(score: Score, clip: ClipPlan, rng: np.random.Generator) -> Arrangement:
    """Return the excerpt's arrangement: each voice gets its parts, at a tempo that gives the planned pace."""
    parts = _parts(score)
    playing = _assign(parts, clip, rng)
    used = sorted({p for mine in playing for p in mine})
    quarter_bpm = _tempo(parts, used, score, clip, rng)
    pulse = quarter_bpm / score.beat
    while pulse >= 2 * PULSE_BPM:
        pulse /= 2
    while pulse < PULSE_BPM:
        pulse *= 2
    if clip.drums == "techno":
        quarter_bpm, pulse = _into_techno(quarter_bpm, pulse, rng)
    start = _start(parts[playing[0][0]], score, clip.start, quarter_bpm)
    key = int(rng.integers(-5, 7))
    lines = [
        _line(voice, [_cut(parts[p], score.length, start, quarter_bpm) for p in mine], clip.register == "low", key, rng)
        for voice, mine in zip(clip.voices, playing, strict=True)
    ]
    if clip.drums == "none":
        return Arrangement(tuple(lines), pulse, False)
    machine = clip.kind in ("techno", "electronica")
    return Arrangement((*lines, _drums(clip.drums, pulse, machine, rng)), pulse, machine)


def onset_rate(lines: list[Line]) -> float:
    """Return the number of distinct onsets per second; the drums are left out."""
    onsets = np.sort(np.concatenate([line.events[:, 0] for line in lines if line.voice is not None]))
    return float(1 + np.sum(np.diff(onsets) > TOGETHER)) / PLAYED if onsets.size else 0.0


def median_pitch(lines: list[Line]) -> float:
    """Return the median MIDI pitch, weighted by the notes' durations; the drums are left out."""
    events = np.concatenate([line.events for line in lines if line.voice is not None])
    events = events[np.argsort(events[:, 2], kind="stable")]
    time = np.cumsum(events[:, 1])
    return float(events[np.searchsorted(time, time[-1] / 2), 2])


def _parts(score: Score) -> list[Notes]:
    """Return at most five parts. A single tune gets a bass, which holds the tune's note of every second beat."""
    parts = list(score.parts)
    if len(parts) == 1:
        tune, step = parts[0], 2 * score.beat
        times = np.arange(0, score.length, step)
        found = tune[np.clip(np.searchsorted(tune[:, 0], times + 1e-6) - 1, 0, None), 2]
        return [tune, np.stack([times, np.full(times.size, step), found - 24], axis=1)]
    places = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), 5)).round().astype(int))
    return [parts[p] for p in places]


def _assign(parts: list[Notes], clip: ClipPlan, rng: np.random.Generator) -> list[list[int]]:
    """Return the parts that each voice plays, by number: high parts go to high instruments.

    An instrument that can play chords may get two parts, or all of them if it is alone.
    """
    voices = [INSTRUMENTS[voice.instrument] for voice in clip.voices]
    if len(voices) == 1:
        return [list(range(len(parts))) if voices[0].chords else [int(rng.integers(0, max(1, len(parts) - 1)))]]
    order = sorted(range(len(voices)), key=lambda v: -(voices[v].low + voices[v].high))
    mine: list[list[int]] = [[] for _ in voices]
    for rank, v in enumerate(order):
        place = round(rank * (len(parts) - 1) / (len(order) - 1))
        mine[v] = [place]
        if voices[v].chords and rng.random() < 0.5:
            mine[v].append(place + 1 if place + 1 < len(parts) else place - 1)
    return mine


def _tempo(parts: list[Notes], used: list[int], score: Score, clip: ClipPlan, rng: np.random.Generator) -> float:
    """Return the tempo, in quarters per minute, that gives the used parts the planned number of onsets per second."""
    onsets = np.unique(np.concatenate([parts[p][:, 0] for p in used]).round(3)).size
    return float(60 * rng.uniform(*ONSETS[clip.pace]) * score.length / onsets)


def _into_techno(quarter_bpm: float, pulse: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return tempo and pulse, scaled together so that the pulse lies in TECHNO_BPM."""
    wanted = float(rng.uniform(*TECHNO_BPM))
    return quarter_bpm * wanted / pulse, wanted


def _start(lead: Notes, score: Score, seconds: int, quarter_bpm: float) -> float:
    """Return the start of the excerpt in quarters, on a beat. It is later than planned if the lead would rest there."""
    span = PLAYED * quarter_bpm / 60
    start = round(seconds * quarter_bpm / 60 / score.beat) * score.beat % score.length
    for _ in range(64):
        if len(_cut(lead, score.length, start, quarter_bpm)) >= 4:
            break
        start = (start + np.ceil(span / 2 / score.beat) * score.beat) % score.length
    return float(start)


def _cut(part: Notes, length: float, start: float, quarter_bpm: float) -> Notes:
    """Return an excerpt of the endlessly repeated part, in seconds from the start of the excerpt."""
    span = PLAYED * quarter_bpm / 60
    turns = np.arange(int((start + span) // length) + 1)
    notes = np.concatenate([part + np.array([turn * length, 0.0, 0.0]) for turn in turns])
    notes = notes[(notes[:, 0] >= start - 1e-6) & (notes[:, 0] < start + span)]
    notes[:, 0] -= start
    notes[:, :2] *= 60 / quarter_bpm
    return notes


def _line(voice: Voice, parts: list[Notes], low: bool, key: int, rng: np.random.Generator) -> Line:
    """Return the line of an instrument: its notes in its range, with articulation and accents.

    key: semitones by which the notes are transposed.
    """
    notes = np.concatenate(parts)
    instrument = INSTRUMENTS[voice.instrument]
    events = np.empty((len(notes), 4))
    events[:, 0] = np.maximum(notes[:, 0] + rng.normal(0, 0.006, len(notes)).clip(-0.012, 0.012), 0)
    events[:, 1] = np.clip(notes[:, 1] * rng.uniform(0.55, 1.0), 0.06, 12.0)
    events[:, 2] = _fit(notes[:, 2] + key, instrument, low, rng)
    swell = np.interp(events[:, 0], np.linspace(0, PLAYED, 9), rng.uniform(-3.0, 3.0, 9))  # dB: phrases rise and fall
    events[:, 3] = rng.uniform(SOFT, 1.0, len(notes)) * 10 ** (swell / 20)
    return Line(events[np.argsort(events[:, 0], kind="stable")], voice.program, voice.gain_db, voice)


def _fit(
    pitch: NDArray[np.float64], instrument: Instrument, low: bool, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the pitches, moved by octaves: first all together to fit the range, then each that is still outside."""
    if not pitch.size:
        return pitch
    middle = float(np.median(pitch))
    wanted = max(LOW_CENTRE, instrument.low + 4.0) if low else middle + float(rng.choice([-12, 0, 0, 12]))

    def misfit(shift: int) -> tuple[int, float]:
        moved = pitch + shift
        return int(np.sum((moved < instrument.low) | (moved > instrument.high))), abs(middle + shift - wanted)

    shifts = range(-48, 49, 12)
    best = min(shifts, key=lambda s: misfit(s)[1] + 24 * misfit(s)[0] / pitch.size)
    moved = pitch + best
    moved += 12 * np.ceil(np.maximum(instrument.low - moved, 0) / 12)
    moved -= 12 * np.ceil(np.maximum(moved - instrument.high, 0) / 12)
    return moved


def _drums(kind: str, pulse: float, machine: bool, rng: np.random.Generator) -> Line:
    """Return the drums' line: a pattern that marks every beat or, for `free`, hand drums struck at random times."""
    beats = int(PLAYED * pulse / 60)
    if kind == "free":
        times = np.sort(rng.uniform(0, PLAYED, int(PLAYED * rng.uniform(0.5, 1.6))))
        few = rng.choice(HANDS, size=3, replace=False)
        hits = [(t, float(rng.choice(few)), 1.0 if rng.random() < 0.5 else SOFT) for t in times]
    else:
        pattern = PATTERNS["techno" if kind == "techno" else str(rng.choice(STEADY))]
        bars = [(bar + place, note, gain) for bar in range(0, beats, 4) for place, note, gain in pattern]
        hits = sorted((beat * 60 / pulse, float(note), gain) for beat, note, gain in bars if beat < beats)
    events = np.array([(onset, 0.2, note, gain) for onset, note, gain in hits])
    kit = int(rng.choice(MACHINES if machine else KITS))
    return Line(events, kit, -float(rng.uniform(0.0, 12.0)))
