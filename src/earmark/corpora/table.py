"""One's own music: a CSV with the columns path and tags, and, where known, clip_id, song, artist and split."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from earmark.corpora.rows import Row, tabulate
from earmark.corpora.text import read_text
from earmark.manifest import Clip, CorpusError, TagTable

NEEDED = ("path", "tags")
KNOWN = (*NEEDED, "clip_id", "song", "artist", "split")


def read(table: Path) -> tuple[list[Clip], TagTable]:
    """Read the table; tags are separated by ``|``. CorpusError names the line of whatever is wrong."""
    return tabulate(_rows(table))


def _rows(table: Path) -> Iterator[Row]:
    text = read_text(table, encoding="utf-8-sig")
    reader = csv.DictReader(text.splitlines())
    header = reader.fieldnames or []
    if missing := [name for name in NEEDED if name not in header]:
        raise CorpusError(f"{table}: column {missing[0]!r} is missing, got {', '.join(header) or 'an empty file'}")
    if unknown := [name for name in header if name not in KNOWN]:
        raise CorpusError(f"{table}: column {unknown[0]!r} is none of {', '.join(KNOWN)}")
    for cells in reader:
        where = f"{table}, line {reader.line_num}"
        if None in cells or None in cells.values():
            raise CorpusError(f"{where}: {len(header)} columns expected")
        tags = [tag for part in cells.pop("tags").split("|") if (tag := part.strip())]
        yield Row(where, tags=tags, **{name: value.strip() for name, value in cells.items()})
