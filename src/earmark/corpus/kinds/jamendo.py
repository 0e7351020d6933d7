"""MTG-Jamendo (Bogdanov et al. 2019): tables of tracks, with tags for genre, instrument, and mood or theme."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from earmark.config import CorpusConfig
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable
from earmark.corpus.rows import Row, is_there, tabulate
from earmark.corpus.text import lines, read_text

FILES = dict(zip(SPLITS, ("train", "validation", "test"), strict=True))
SUBSETS = {
    "all": "autotagging",
    "top50": "autotagging_top50tags",
    "genre": "autotagging_genre",
    "instrument": "autotagging_instrument",
    "moodtheme": "autotagging_moodtheme",
}
SMALL = ".low.mp3"
COLUMNS = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the split and the subset that ``corpus.jamendo`` names."""
    return read(config.annotations, config.jamendo.split, config.jamendo.subset, config.audio)


def read(
    metadata: Path, split: int = 0, subset: str = "top50", audio: Path | None = None
) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of a split and a subset of tags.

    metadata: the folder ``data`` of the data set's repository, which holds
    splits/split-<split>/<file of the subset>-{train,validation,test}.tsv. audio: the folder that holds 00 to 99; a
    track that is there in the smaller edition alone (``audio-low``) is found by its name there.

    A tag is named without its category: ``genre---rock`` becomes rock. If two categories have a tag of that name, the
    category is added in brackets.

    Raises CorpusError if a file is missing, a header is wrong, a line has too few columns, a tag has no category or no
    name, two tags would have one name, or no track is in ``audio``.
    """
    if subset not in SUBSETS:
        raise CorpusError(f"corpus.jamendo.subset must be one of {', '.join(SUBSETS)}, got {subset!r}")
    folder = metadata / "splits" / f"split-{split}"
    rows = [row for name in SPLITS for row in _rows(folder / f"{SUBSETS[subset]}-{FILES[name]}.tsv", name)]
    if audio is not None:
        rows = _found(rows, audio)
    categories: dict[str, set[str]] = {}
    for row in rows:
        for tag in row.tags:
            category, _, name = (part.strip() for part in tag.partition("---"))
            if not category or not name:
                raise CorpusError(f"{row.where}: a tag must be category---name, as genre---rock, got {tag!r}")
            categories.setdefault(name, set()).add(tag)
    names = {tag: _name(tag, categories) for tags in categories.values() for tag in sorted(tags)}
    of_name: dict[str, str] = {}
    for tag, name in names.items():
        if of_name.setdefault(name, tag) != tag:
            raise CorpusError(f"{folder}: the tags {of_name[name]!r} and {tag!r} would both be named {name!r}")
    return tabulate((replace(row, tags=[names[tag] for tag in row.tags]) for row in rows), audio)


def _rows(file: Path, split: str) -> Iterator[Row]:
    text = read_text(file, hint="; is it the repository's data folder?")
    given = [(number, line.rstrip("\r\n")) for number, line in enumerate(lines(text, file), 1) if line.strip()]
    if not given or given[0][1].split("\t") != COLUMNS:
        raise CorpusError(f"{file}: the columns must be {', '.join(COLUMNS)}, got {[line for _, line in given[:1]]}")
    for number, line in given[1:]:
        cells = line.split("\t")
        if len(cells) < len(COLUMNS):
            raise CorpusError(f"{file}, line {number}: {len(COLUMNS)} columns or more expected, got {len(cells)}")
        track, artist, _, path, _, *tags = cells
        yield Row(f"{file}, line {number}", path, tags, clip_id=track, song=track, artist=artist, split=split)


def _found(rows: Sequence[Row], audio: Path) -> list[Row]:
    """Return the rows with the paths of the files that are there; a track without one keeps that of its table.

    The tables name the large edition, ``14/214.mp3``; the script of the data set's repository that fetches the small
    one leaves ``14/214.low.mp3``. Raises CorpusError if there is no file at all.
    """
    found, here = [], 0
    for row in rows:
        small = f"{row.path.removesuffix('.mp3')}{SMALL}"
        path = next((path for path in (row.path, small) if is_there(audio, path)), "")
        here += bool(path)
        found.append(replace(row, path=path or row.path))
    if rows and not here:
        raise CorpusError(
            f"corpus.audio: {audio} holds none of the {len(rows)} tracks, neither {rows[0].path} nor "
            f"{rows[0].path.removesuffix('.mp3')}{SMALL}; is it the folder that holds 00 to 99?"
        )
    return found


def _name(tag: str, categories: dict[str, set[str]]) -> str:
    category, _, name = (part.strip() for part in tag.partition("---"))
    return name if len(categories[name]) == 1 else f"{name} ({category})"
