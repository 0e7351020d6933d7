"""The tags of the demo corpus: each has a name as in MagnaTagATune, and a definition that decides whether it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earmark.demo.orchestra import INSTRUMENTS

SLOW, FAST = 1.5, 5.0  # distinct onsets per second of the pitched instruments; between them neither tag holds
QUIET_DB, LOUD_DB = -30.0, -18.0  # RMS in dB re full scale; between them neither tag holds
LOW_PITCH = 50.0  # MIDI pitch (D3); a clip is low if its median pitch is below it
LONG_T60 = 2.0  # seconds


@dataclass(frozen=True)
class Facts:
    """What is known of a rendered clip. Only instruments that are heard and notes that were played count."""

    era: str
    instruments: frozenset[str]
    drums: str  # one of plan.DRUMS, or "techno"
    machine: bool
    pulse_bpm: float
    onset_rate: float
    median_pitch: float
    rms_db: float
    echo: bool
    T60: float

    def families(self) -> list[str]:
        """Return the family of each instrument that is heard."""
        return [INSTRUMENTS[name].family for name in self.instruments]

    def electronic(self) -> bool:
        """Return whether at least half of the sources of sound, drums included, are electronic."""
        sources = len(self.instruments) + (self.drums != "none")
        return 2 * (self.families().count("electronic") + self.machine) >= sources

    def orchestral(self) -> bool:
        """Return whether six instruments or more are heard, with bowed strings, woodwind and brass among them."""
        found = set(self.families())
        bowed = bool(found & {"strings", "section"})
        return len(self.instruments) >= 6 and bowed and {"woodwind", "brass"} <= found


@dataclass(frozen=True)
class Tag:
    """A tag with its definition, in words and as a function of the facts."""

    name: str
    definition: str
    holds: Callable[[Facts], bool]


def _sounds(tag: str, definition: str) -> Tag:
    """Return a tag that holds if any instrument with this tag is heard."""
    names = frozenset(i.name for i in INSTRUMENTS.values() if tag in i.tags)
    return Tag(tag, definition, lambda facts: bool(names & facts.instruments))


TAGS = (
    _sounds("guitar", "a guitar is heard, acoustic or electric"),
    _sounds("electric guitar", "an electric guitar is heard, clean or distorted"),
    _sounds("piano", "a piano is heard"),
    _sounds("harpsichord", "a harpsichord is heard"),
    _sounds("organ", "an organ is heard, a church or a drawbar organ"),
    _sounds("strings", "bowed strings are heard: violin, viola, cello or a string section"),
    _sounds("violin", "a solo violin is heard"),
    _sounds("cello", "a solo cello is heard"),
    _sounds("bass", "a bass is heard: double bass, electric bass or synthesizer bass"),
    _sounds("harp", "a harp is heard"),
    _sounds("bells", "tubular bells or a glockenspiel are heard"),
    _sounds("flute", "a flute is heard"),
    _sounds("oboe", "an oboe is heard"),
    _sounds("clarinet", "a clarinet is heard"),
    _sounds("sax", "a saxophone is heard"),
    _sounds("trumpet", "a trumpet is heard"),
    _sounds("horn", "a French horn is heard"),
    _sounds("sitar", "a sitar is heard"),
    _sounds("banjo", "a banjo is heard"),
    _sounds("vocal", "voices are heard: a choir or a single wordless voice"),
    _sounds("choir", "a choir is heard"),
    _sounds("synth", "a synthesizer lead or pad is heard"),
    Tag("drums", "drums are heard: a kit, a drum machine or hand drums", lambda f: f.drums != "none"),
    Tag("beat", "drums mark every beat, 75 to 150 a minute", lambda f: f.drums in ("beat", "techno")),
    Tag("electronic", "half or more of the sources are synthesizers or drum machines", Facts.electronic),
    Tag(
        "techno",
        "electronic, with a bass drum on every beat at 115 to 150 beats a minute",
        lambda f: f.drums == "techno" and f.electronic() and 115 <= f.pulse_bpm <= 150,
    ),
    Tag(
        "ambient",
        "no drums, slow, a reverberation of 2 s or more, and a synthesizer pad, string section or choir is heard",
        lambda f: (
            f.drums == "none"
            and f.onset_rate <= SLOW
            and f.T60 >= LONG_T60
            and bool(f.instruments & {"synth pad", "string section", "choir"})
        ),
    ),
    Tag("slow", "1.5 note onsets a second or fewer, drums left out", lambda f: f.onset_rate <= SLOW),
    Tag("fast", "5 note onsets a second or more, drums left out", lambda f: f.onset_rate >= FAST),
    Tag("loud", "the clip's RMS is -18 dB re full scale or more", lambda f: f.rms_db >= LOUD_DB),
    Tag("quiet", "the clip's RMS is -30 dB re full scale or less", lambda f: f.rms_db <= QUIET_DB),
    Tag("low", "half of the sounding time of the notes lies below MIDI pitch 50", lambda f: f.median_pitch < LOW_PITCH),
    Tag("solo", "one instrument is heard and no drums", lambda f: len(f.instruments) == 1 and f.drums == "none"),
    Tag("duet", "two instruments are heard and no drums", lambda f: len(f.instruments) == 2 and f.drums == "none"),
    Tag("orchestra", "six instruments or more with bowed strings, woodwind and brass", Facts.orchestral),
    Tag("echo", "the mix passed a tape delay with audible repeats", lambda f: f.echo),
    Tag(
        "classical",
        "a composer of the written tradition from Palestrina to Clara Schumann",
        lambda f: f.era in ("renaissance", "baroque", "classic"),
    ),
    Tag("baroque", "composed by Bach, Handel or Corelli", lambda f: f.era == "baroque"),
    Tag("medieval", "a fourteenth-century composition from the trecento manuscripts", lambda f: f.era == "medieval"),
    Tag("folk", "a traditional tune from a collection of folk music", lambda f: f.era == "folk"),
)
TAG_NAMES = tuple(tag.name for tag in TAGS)


def tags_of(facts: Facts) -> tuple[str, ...]:
    """Return the names of the tags that hold, in the order of TAGS."""
    return tuple(tag.name for tag in TAGS if tag.holds(facts))
