"""FMA (Defferrard et al. 2017): the tracks of a subset as 000/000002.mp3, with genres and the official split."""

from __future__ import annotations

import contextlib
import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from earmark.config import CorpusConfig
from earmark.corpus.manifest import Clip, CorpusError, TagTable
from earmark.corpus.rows import Row, is_there, tabulate
from earmark.errors import reason

SUBSETS = ("small", "medium", "large", "full")  # each holds those before it; large and full have the same tracks
SPLITS = {"training": "train", "validation": "valid", "test": "test"}
NEEDED = (("set", "split"), ("set", "subset"), ("artist", "id"), ("track", "genre_top"), ("track", "genres_all"))
LONGEST = 10  # digits of a track's number, and more than it has
_CELL = 10**8  # characters: biographies are longer than the 131,072 that Python takes


def path_of(track: int) -> str:
    """Return the path of a track.

    >>> path_of(2)
    '000/000002.mp3'
    """
    return f"{track // 1000:03}/{track:06}.mp3"


# Clips that were cut beyond the end of their track, whose length the archive had wrong: most hold no audio at all, six
# hold less than 30 s (https://github.com/mdeff/fma/wiki, /issues/8). In full, which is not cut, they are sound.
_NO_AUDIO = (
    1486, 5574, 65753, 80391, 98558, 98559, 98560, 98571, 99134, 105247, 108925, 126981, 127336, 133297, 143992,
)  # fmt: skip
_SHORT = (98565, 98566, 98567, 98568, 98569, 108924)
BROKEN = frozenset(path_of(track) for track in (*_NO_AUDIO, *_SHORT))


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the subset that ``corpus.fma`` names."""
    return read(config.audio, config.annotations, config.fma.subset, config.fma.genres)


def read(audio: Path, metadata: Path, subset: str = "small", genres: str = "top") -> tuple[list[Clip], TagTable]:
    """Return the clips of a subset and their genres, in the order of tracks.csv.

    audio: the folder that holds 000 to 155. metadata: the folder fma_metadata, with tracks.csv and genres.csv. genres:
    ``top``, the top-level genre, which every track of small and medium has; ``all``, all genres of a track with those
    above them. A track whose file is absent stays in the manifest, so that decoding rejects and counts it.

    Raises CorpusError, with the line, if a table is missing or is not of this form, or if no track is in ``audio``.
    """
    if subset not in SUBSETS:
        raise CorpusError(f"corpus.fma.subset must be one of {', '.join(SUBSETS)}, got {subset!r}")
    folder = metadata.parent if metadata.is_file() else metadata
    titles = _titles(folder / "genres.csv") if genres == "all" else None
    rows = list(_rows(folder / "tracks.csv", subset, titles))
    if rows and not any(is_there(audio, row.path) for row in rows):
        raise CorpusError(
            f"corpus.audio: {audio} holds none of the {len(rows)} tracks of {subset}, the first being {rows[0].path}; "
            "is it the folder that holds 000 to 155?"
        )
    return tabulate(rows, audio)


def _rows(file: Path, subset: str, titles: dict[int, str] | None) -> Iterator[Row]:
    """Yield the rows of a subset. titles: of all genres by their numbers; None for the top-level genre alone."""
    lines = _lines(file)
    head = [cells for _, (_, cells) in zip(range(3), lines, strict=False)]
    columns = {column: place for place, column in enumerate(zip(*head[:2], strict=False))}
    if missing := [column for column in NEEDED if column not in columns]:
        raise CorpusError(f"{file}: column {' / '.join(missing[0])} is missing from its first two lines")
    if twice := [column for column in NEEDED if list(zip(*head[:2], strict=False)).count(column) > 1]:
        raise CorpusError(f"{file}: column {' / '.join(twice[0])} stands in its first two lines more than once")
    if head[2:] and head[2][:1] != ["track_id"]:
        raise CorpusError(f"{file}, line 3: it must begin with track_id, got {head[2][:1]}")
    wanted = SUBSETS[: SUBSETS.index(subset) + 1]
    for line, cells in lines:
        where = f"{file}, line {line}"
        if len(cells) != len(head[0]):
            raise CorpusError(f"{where}: {len(head[0])} columns expected, got {len(cells)}")
        split, held, artist, top, numbers = (cells[columns[column]] for column in NEEDED)
        if held not in SUBSETS:
            raise CorpusError(f"{where}: set / subset must be one of {', '.join(SUBSETS)}, got {held!r}")
        if held in wanted:
            if split not in SPLITS:
                raise CorpusError(f"{where}: set / split must be one of {', '.join(SPLITS)}, got {split!r}")
            if not (cells[0].isascii() and cells[0].isdigit() and len(cells[0]) < LONGEST):
                raise CorpusError(
                    f"{where}: track_id must be a number of less than {LONGEST} digits, got {cells[0][:60]!r}"
                )
            track = int(cells[0])
            tags = _genres(numbers, titles, where) if titles is not None else [top.strip()] * bool(top.strip())
            yield Row(where, path_of(track), tags, f"{track:06}", artist=artist, split=SPLITS[split])


def _genres(numbers: str, titles: dict[int, str], where: str) -> list[str]:
    """Return the titles of a list of genres, such as ``[21, 38]``."""
    try:
        found = json.loads(numbers)
        if not isinstance(found, list) or not all(type(number) is int for number in found):
            raise TypeError
        return [titles[number] for number in found]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorpusError(
            f"{where}: track / genres_all must be a list of numbers of genres.csv, as [21, 38], got {numbers[:60]!r}"
        ) from None


def _titles(file: Path) -> dict[int, str]:
    """Return the titles of the genres by their numbers; the number is added to a title that several have."""
    lines = _lines(file)
    _, header = next(lines, (0, []))
    if not {"genre_id", "title"} <= set(header):
        raise CorpusError(f"{file}: it must have the columns genre_id and title, got {', '.join(header[:6])}")
    number, title = header.index("genre_id"), header.index("title")
    found: dict[int, str] = {}
    for line, cells in lines:
        try:
            genre, name = int(cells[number]), cells[title].strip()
        except (ValueError, IndexError):
            name = ""
        if not name:
            raise CorpusError(f"{file}, line {line}: a number and a title expected, got {cells[:4]}")
        if genre in found:
            raise CorpusError(f"{file}, line {line}: genre {genre} is in an earlier line, too: {found[genre]!r}")
        found[genre] = name
    if not found:
        raise CorpusError(f"{file} holds no genre below its header")
    several = {name for name, count in Counter(found.values()).items() if count > 1}
    return {genre: f"{name} ({genre})" if name in several else name for genre, name in found.items()}


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV whose cells may go over several lines, each with the line that it begins in."""
    before = 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as text, _long_cells():
            reader = csv.reader(text, strict=True)
            for cells in reader:
                line, before = before + 1, reader.line_num
                if cells:
                    yield line, cells
    except FileNotFoundError:
        raise CorpusError(f"corpus.annotations: {file} does not exist; is it fma_metadata, unpacked?") from None
    except OSError as error:
        raise CorpusError(f"corpus.annotations: {file} cannot be read: {reason(error)}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file} is not UTF-8 after line {before}: {error.reason}") from None
    except csv.Error as error:
        raise CorpusError(f"{file}, line {before + 1}: {error}; is the file damaged?") from None


@contextlib.contextmanager
def _long_cells() -> Iterator[None]:
    """Let ``csv`` take cells of any length that occurs: its limit is one for the whole process."""
    limit = csv.field_size_limit(_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
