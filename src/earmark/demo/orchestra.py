"""The instruments of the demo corpus, and the ensembles that are drawn from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Instrument:
    """An instrument of the General MIDI sound set.

    programs: its sounds, of which a clip uses one. low, high: its range in MIDI pitch. family: serves to build
    ensembles. tags: the tags that hold if the instrument is heard. chords: whether it can play several parts.
    """

    name: str
    programs: tuple[int, ...]
    low: int
    high: int
    family: str
    tags: tuple[str, ...] = ()
    chords: bool = False
    eras: tuple[str, ...] = ()  # in which it is drawn more often
    dealt: bool = True  # whether it is also dealt evenly over the clips, not only drawn as a further partner


INSTRUMENTS = {
    i.name: i
    for i in (
        Instrument("piano", (0, 1), 28, 96, "keys", ("piano",), True, ("classic",)),
        Instrument("harpsichord", (6,), 36, 86, "keys", ("harpsichord",), True, ("baroque",)),
        Instrument("organ", (19, 20), 31, 86, "keys", ("organ",), True, ("baroque", "renaissance")),
        Instrument("guitar", (24, 25), 40, 81, "plucked", ("guitar",), True, ("folk",)),
        Instrument("electric guitar", (29, 30), 40, 84, "plucked", ("guitar", "electric guitar")),
        Instrument("violin", (40,), 55, 98, "strings", ("violin", "strings"), False, ("baroque", "folk", "classic")),
        Instrument("viola", (41,), 48, 86, "strings", ("strings",), False, ("classic",), False),
        Instrument("cello", (42,), 36, 74, "strings", ("cello", "strings"), False, ("baroque", "classic")),
        Instrument("string section", (48, 49), 36, 93, "section", ("strings",), True, ("classic",), False),
        Instrument("double bass", (32, 43), 28, 60, "low", ("bass",), False, ("folk", "classic")),
        Instrument("electric bass", (33, 34), 28, 58, "low", ("bass",), False, (), False),
        Instrument("synth bass", (38, 39), 26, 58, "electronic", ("bass",), False, (), False),
        Instrument("harp", (46,), 31, 96, "plucked", ("harp",), True, ("medieval",)),
        Instrument("bells", (9, 14), 60, 98, "struck", ("bells",), False, ("medieval",)),
        Instrument("marimba", (12,), 45, 91, "struck", (), True, (), False),
        Instrument("flute", (73,), 60, 96, "woodwind", ("flute",), False, ("folk", "medieval", "baroque")),
        Instrument("oboe", (68,), 58, 90, "woodwind", ("oboe",), False, ("baroque", "renaissance")),
        Instrument("clarinet", (71,), 50, 91, "woodwind", ("clarinet",), False, ("classic",)),
        Instrument("bassoon", (70,), 34, 70, "woodwind", (), False, ("baroque", "renaissance"), False),
        Instrument("sax", (65, 66), 44, 82, "reed", ("sax",)),
        Instrument("accordion", (21,), 48, 86, "reed", (), True, ("folk",), False),
        Instrument("trumpet", (56,), 54, 84, "brass", ("trumpet",), False, ("baroque", "renaissance")),
        Instrument("horn", (60,), 41, 76, "brass", ("horn",), False, ("classic",)),
        Instrument("trombone", (57,), 38, 70, "brass", (), False, ("renaissance",), False),
        Instrument("sitar", (104,), 43, 79, "plucked", ("sitar",)),
        Instrument("banjo", (105,), 48, 84, "plucked", ("banjo",), False, ("folk",)),
        Instrument("choir", (52,), 41, 81, "voice", ("choir", "vocal"), True, ("renaissance", "medieval")),
        Instrument("voice", (53,), 45, 81, "voice", ("vocal",), False, ("renaissance", "medieval")),
        Instrument("synth lead", (80, 81), 48, 91, "electronic", ("synth",)),
        Instrument("synth pad", (89, 90, 95), 38, 86, "electronic", ("synth",), True, (), False),
    )
}
DEALT = tuple(i.name for i in INSTRUMENTS.values() if i.dealt)
ACOUSTIC = tuple(i.name for i in INSTRUMENTS.values() if i.family != "electronic")
LOW = ("cello", "double bass", "bassoon", "trombone", "organ", "piano", "electric bass", "guitar", "choir", "horn")
ERA_WEIGHT = 6.0  # an instrument is so many times likelier in its eras: a hint, never a rule


@dataclass(frozen=True)
class Voice:
    """An instrument of an ensemble: its program, and its level in dB relative to the loudest possible."""

    instrument: str
    program: int
    gain_db: float


def ensemble(rng: np.random.Generator, kind: str, era: str, low: bool, dealt: tuple[str, str]) -> tuple[Voice, ...]:
    """Draw the voices of a clip.

    kind: one of plan.KINDS. low: whether the further partners of a group are drawn from low instruments. dealt: two
    instruments; the first always plays, the second plays unless the kind is solo.
    """
    lead, second = dealt
    names = [lead] if kind == "solo" else [lead, second]
    if kind == "group":
        names += _partners(rng, LOW if low else ACOUSTIC, era, int(rng.integers(1, 3)))
        if rng.random() < 0.15:
            names.append(str(rng.choice(["synth lead", "synth pad", "synth bass"])))
    elif kind == "orchestra":
        names += [
            "string section",
            *_family(rng, "woodwind", 2),
            *_family(rng, "brass", 2),
            *_family(rng, "strings", 1),
        ]
        names += _family(rng, "low", 1) if rng.random() < 0.5 else []
        names += _partners(rng, ACOUSTIC, era, 1)
    elif kind == "electronica":
        names += ["synth pad", str(rng.choice(["synth bass", "synth lead"]))]
    elif kind == "techno":
        names += ["synth lead", "synth bass", *(["synth pad"] if rng.random() < 0.5 else [])]
    elif kind == "ambient":
        names += [str(rng.choice(["synth pad", "string section", "choir"]))]
    depth = 3.0 if kind in ("duet", "orchestra") else 6.0
    return tuple(_voice(rng, name, depth) for name in dict.fromkeys(names))


def _partners(rng: np.random.Generator, names: Iterable[str], era: str, count: int) -> list[str]:
    """Draw distinct instruments; those of the era weigh ERA_WEIGHT times as much."""
    pool = list(names)
    weights = np.array([ERA_WEIGHT if era in INSTRUMENTS[name].eras else 1.0 for name in pool])
    return [str(name) for name in rng.choice(pool, size=count, replace=False, p=weights / weights.sum())]


def _family(rng: np.random.Generator, family: str, count: int) -> list[str]:
    """Draw distinct instruments of one family."""
    pool = [i.name for i in INSTRUMENTS.values() if i.family == family]
    return [str(name) for name in rng.choice(pool, size=count, replace=False)]


def _voice(rng: np.random.Generator, name: str, depth: float) -> Voice:
    """Draw the program of an instrument, and its level between -`depth` and 0 dB."""
    return Voice(name, int(rng.choice(INSTRUMENTS[name].programs)), -float(rng.uniform(0.0, depth)))
