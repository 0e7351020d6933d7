"""Your own music: a CSV with the columns path and tags and, if you know them, clip_id, song, artist and split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from earmark.config import CorpusConfig
from earmark.corpus.manifest import Clip, CorpusError, TagTable
from earmark.corpus.rows import Row, tabulate
from earmark.corpus.text import csv_rows, read_text

NEEDED = ("path", "tags")
KNOWN = (*NEEDED, "clip_id", "song", "artist", "split")


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the table that ``corpus.annotations`` names."""
    return read(config.annotations)


def read(table: Path) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of a table, in which ``|`` separates the tags.

    Raises CorpusError, with the line, if a column is missing, unknown or there twice, or if a row cannot be used.
    """
    return tabulate(_rows(table))


def _rows(table: Path) -> Iterator[Row]:
    lines = csv_rows(read_text(table, encoding="utf-8-sig"), table)
    _, header = next(lines, (0, []))
    if missing := [name for name in NEEDED if name not in header]:
        raise CorpusError(f"{table}: column {missing[0]!r} is missing, got {', '.join(header) or 'an empty file'}")
    if unknown := [name for name in header if name not in KNOWN]:
        raise CorpusError(f"{table}: column {unknown[0]!r} is none of {', '.join(KNOWN)}")
    if twice := [name for name in header if header.count(name) > 1]:
        raise CorpusError(f"{table}: column {twice[0]!r} stands in the header more than once")
    for number, values in lines:
        where = f"{table}, line {number}"
        if len(values) != len(header):
            raise CorpusError(f"{where}: {len(header)} columns expected, got {len(values)}")
        cells = {name: value.strip() for name, value in zip(header, values, strict=True)}
        tags = [tag for part in cells.pop("tags").split("|") if (tag := part.strip())]
        yield Row(where, tags=tags, **cells)
