"""Read compositions from the corpus that music21 brings into plain arrays of notes."""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import EarmarkError

Notes = NDArray[np.float64]  # (n, 3): onset and duration in quarters, MIDI pitch; sorted by onset
MIN_NOTES = 8  # a part with fewer is left out: it rests most of the time


@dataclass(frozen=True)
class Source:
    """The scores of one composer or collection: where they lie in the corpus, and how they are named."""

    era: str
    artist: str
    album: str
    pattern: str  # glob below music21's corpus folder
    max_bytes: int = 60_000  # larger files take seconds to parse


@dataclass(frozen=True)
class Piece:
    """One composition: a file of music21's corpus, or one numbered tune of an ABC file."""

    era: str
    artist: str
    album: str
    title: str
    path: str
    number: int | None = None


@dataclass(frozen=True)
class Score:
    """The notes of a piece: its parts from high to low, and the lengths of a beat and of the whole, in quarters."""

    parts: tuple[Notes, ...]
    beat: float
    length: float


SOURCES = (
    Source("folk", "ryans_mammoth_collection", "fiddle_tunes", "ryansMammoth/*.abc"),
    Source("folk", "james_aird", "selection_of_airs", "airdsAirs/*.abc", 100_000),
    Source("folk", "german_song_collectors", "folk_songs", "essenFolksong/erk10.abc", 200_000),
    Source("medieval", "trecento_manuscripts", "polyphonic_music", "trecento/PMFC*.xml", 500_000),
    Source("renaissance", "giovanni_da_palestrina", "masses", "palestrina/*.krn"),
    Source("renaissance", "claudio_monteverdi", "madrigals", "monteverdi/*.mxl"),
    Source("baroque", "j_s_bach", "chorales", "bach/bwv*.mxl"),
    Source("baroque", "arcangelo_corelli", "trio_sonatas", "corelli/opus3no1/1grave.xml", 200_000),
    Source("baroque", "g_f_handel", "rinaldo", "handel/rinaldo/*.mxl"),
    Source("classic", "joseph_haydn", "string_quartets", "haydn/*/*.mxl"),
    Source("classic", "w_a_mozart", "quartets_and_sonatas", "mozart/*/*.mxl"),
    Source("classic", "ludwig_van_beethoven", "string_quartets", "beethoven/*/*.mxl"),
    Source("classic", "clara_schumann", "piano_works", "schumann_clara/**/*.mxl"),
    Source("classic", "robert_schumann", "quartets_and_songs", "schumann_robert/**/*.mxl"),
    Source("classic", "frederic_chopin", "mazurkas", "chopin/*.krn"),
    Source("classic", "giuseppe_verdi", "la_donna_e_mobile", "verdi/*.mxl"),
)
ERAS = tuple(dict.fromkeys(source.era for source in SOURCES))


def require(module: str) -> Any:
    """Import a package of the extra `demo`. Raises EarmarkError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EarmarkError(f"the demo corpus needs {error.name or module}: install earmark[demo]") from None


def package_folder(package: str) -> Path:
    """Return the folder of a package of the extra `demo`, without importing it.

    Raises EarmarkError if it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EarmarkError(f"the demo corpus needs {package}: install earmark[demo]")
    return Path(spec.origin).parent


def catalogue() -> dict[str, list[Piece]]:
    """Return the pieces of each era in a fixed order. Raises EarmarkError if the corpus lacks a source."""
    root = package_folder("music21") / "corpus"
    pieces: dict[str, list[Piece]] = {era: [] for era in ERAS}
    for source in SOURCES:
        found = [
            piece
            for path in sorted(root.glob(source.pattern))
            if path.stat().st_size <= source.max_bytes and not path.stem.endswith("_bak")
            for piece in _pieces(source, path, root)
        ]
        if not found:
            raise EarmarkError(f"music21's corpus in {root} has no {source.pattern}: install music21>=10 from PyPI")
        pieces[source.era] += found
    return pieces


def _pieces(source: Source, path: Path, root: Path) -> list[Piece]:
    """Return the file as one piece, or each tune as a piece if it is an ABC file of several tunes."""
    where = path.relative_to(root)
    tunes: list[tuple[int, str]] = []
    if path.suffix == ".abc":
        text = path.read_text(encoding="latin-1")
        tunes = [(int(n), title) for n, title in re.findall(r"^X: *(\d+)\s*\n(?:[^T].*\n)*T: *(.*)$", text, re.M)]
    if len(tunes) > 1:
        first = {n: _slug(title) or f"tune_{n}" for n, title in reversed(tunes)}  # a number may occur twice
        return [
            Piece(source.era, source.artist, source.album, title, where.as_posix(), n)
            for n, title in sorted(first.items())
        ]
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path.stem)
    name = stem if len(where.parts) < 3 else f"{where.parts[-2]}_{stem}"
    return [Piece(source.era, source.artist, source.album, _slug(name), where.as_posix())]


def _slug(text: str) -> str:
    """Return at most 60 lower-case letters, digits and underscores, as in MagnaTagATune's file names.

    >>> _slug("The Devil's Dream")
    'the_devil_s_dream'
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:60]


def read(piece: Piece) -> Score:
    """Return the notes of a piece. Raises EarmarkError if no part has MIN_NOTES notes, or if music21 is missing."""
    converter = require("music21.converter").Converter()
    path = package_folder("music21") / "corpus" / piece.path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of overfull measures and the like; the notes are used all the same
        # this method neither reads nor writes pickles in the temporary folder
        converter.parseFileNoPickle(path, piece.number, None, True)
        stream = converter.stream
        parts = [_notes(part) for part in stream.parts]
    parts = [part for part in parts if len(part) >= MIN_NOTES]
    if not parts:
        raise EarmarkError(f"{path} (tune {piece.number}) has no part of {MIN_NOTES} notes or more")
    start = min(float(part[0, 0]) for part in parts)
    for part in parts:
        part[:, 0] -= start
    parts.sort(key=lambda part: -float(part[:, 2].mean()))
    signature = next(iter(stream.recurse().getElementsByClass("TimeSignature")), None)
    beat = 1.0 if signature is None else float(signature.beatDuration.quarterLength)
    end = max(float((part[:, 0] + part[:, 1]).max()) for part in parts)
    return Score(tuple(parts), beat, float(np.ceil(end / beat - 1e-6) * beat))


def _notes(part: Any) -> Notes:
    """Return a part's notes, with tied notes joined; grace notes and chord symbols have no length and are left out."""
    rows: list[list[float]] = []
    open_ties: dict[int, list[float]] = {}
    for element in part.flatten().notes:
        duration = float(element.duration.quarterLength)
        if duration <= 0 or "ChordSymbol" in element.classes or not element.pitches:
            continue
        for note in getattr(element, "notes", (element,)):
            onset, pitch, tie = float(element.offset), int(note.pitch.midi), note.tie
            held = open_ties.get(pitch)
            if tie is not None and tie.type in ("continue", "stop") and held is not None:
                held[1] = onset + duration - held[0]
                row = held
            else:
                row = [onset, duration, float(pitch)]
                rows.append(row)
            if tie is not None and tie.type in ("start", "continue"):
                open_ties[pitch] = row
            else:
                open_ties.pop(pitch, None)
    return np.array(sorted(rows), dtype=np.float64).reshape(-1, 3)
