"""The table of labelled clips, which the labels stage writes and every later stage reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.corpus.manifest import Clip, TagTable, binary, require_clips
from earmark.errors import EarmarkError
from earmark.storage import sealed_csv


class Labelled(NamedTuple):
    """A labelled clip: its id, song, artist and split."""

    clip_id: str
    song: str
    artist: str
    split: str


_COLUMNS = Labelled._fields
_AGAIN = (
    "tags are edited in the corpus's own annotations (`corpus.annotations`), of which `dvc repro labels` makes this "
    "table again; `dvc checkout` brings back the one that was written"
)


def write_labels(path: Path, clips: Sequence[Clip], table: TagTable) -> None:
    """Write one row per labelled clip: clip_id, song, artist, split and the 0/1 tags; and a checksum."""
    rows = (
        [clip.clip_id, clip.song, clip.artist, clip.split, *values]
        for clip, values in zip(clips, table.values.tolist(), strict=True)
    )
    sealed_csv.write(path, [*_COLUMNS, *table.tags], rows)


def read_labels(path: Path) -> tuple[list[Labelled], TagTable]:
    """Return the clips and the tag table that ``write_labels`` wrote, both in the order of the rows.

    Raises EarmarkError if the file is missing, damaged or edited by hand, if an id or a split cannot be, or if a tag
    has no name or another value than 0 and 1.
    """
    header, rows = sealed_csv.read(path, _COLUMNS, _AGAIN)
    tags, start = header[len(_COLUMNS) :], len(_COLUMNS)
    clips = [Labelled(*row[:start]) for row in rows]
    require_clips(path, clips, _AGAIN)
    if "" in tags:
        raise EarmarkError(f"{path}: each tag must have a name, got {tags[:6]}; {_AGAIN}")
    values = binary(path, tags, [row[start:] for row in rows])
    return clips, TagTable(tuple(c.clip_id for c in clips), tuple(tags), values)
