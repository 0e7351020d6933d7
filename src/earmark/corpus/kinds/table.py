"""Your own music: a CSV with the columns path and tags and, if you know them, clip_id, song, artist and split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from earmark.config import CorpusConfig
from earmark.corpus.manifest import Clip, TagTable
from earmark.corpus.rows import Row, tabulate
from earmark.corpus.text import csv_records, read_text

NEEDED = ("path", "tags")
KNOWN = (*NEEDED, "clip_id", "song", "artist", "split")


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of the table that ``corpus.annotations`` names."""
    return read(config.annotations, config.audio)


def read(table: Path, audio: Path | None = None) -> tuple[list[Clip], TagTable]:
    """Return the clips and tags of a table, in which ``|`` separates the tags.

    audio: the folder of the files, in which paths are looked for (``audio_folder.Matches``).

    Raises CorpusError, with the line, if a column is missing, unknown or there twice, or if a row cannot be used.
    """
    return tabulate(_rows(table), audio)


def _rows(table: Path) -> Iterator[Row]:
    for where, cells in csv_records(read_text(table), table, NEEDED, KNOWN):
        tags = [tag for part in cells.pop("tags").split("|") if (tag := part.strip())]
        yield Row(where, tags=tags, **cells)
