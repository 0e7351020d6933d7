"""What in the corpus sounds like a file: the nearest neighbours of its embedding."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.corpus.manifest import Clip, read_tags
from earmark.embeddings.corpus import CorpusEmbeddings
from earmark.files import markdown_table, spreadsheet_cell

Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True)
class Neighbour:
    """A clip of the corpus, and how far it is.

    same: what it has in common with the file, if that is a clip of the corpus, too: ``song``, ``artist`` or nothing.
    """

    distance: float
    path: str
    song: str
    artist: str
    same: str
    tags: tuple[str, ...]


COLUMNS = ("file", *Neighbour.__dataclass_fields__)


class Corpus:
    """The clips of a corpus, their embeddings and tags, as what the nearest ones are looked for in.

    audio: the folder of the music. tags: a table of the pipeline; clips have none without it.
    """

    def __init__(self, embeddings: CorpusEmbeddings, audio: Path, tags: Path, metric: Metric) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.clips = embeddings.clips
        self.rows = {(audio / clip.path).resolve(): row for row, clip in enumerate(self.clips)}
        self.tags = _tags(tags)
        self.nearest = NearestNeighbors(metric=metric, algorithm="brute").fit(embeddings.values)

    def near(self, file: Path, embedding: NDArray[np.float32], top: int) -> list[Neighbour]:
        """Return the ``top`` nearest clips, the nearest first; the file itself is none of them."""
        own = self.rows.get(file.resolve())
        count = min(top + (own is not None), len(self.clips))
        distances, rows = self.nearest.kneighbors(embedding[None], count)
        clip = None if own is None else self.clips[own]
        found = zip(distances[0].tolist(), rows[0].tolist(), strict=True)
        return [self._neighbour(distance, self.clips[row], clip) for distance, row in found if row != own][:top]

    def _neighbour(self, distance: float, clip: Clip, own: Clip | None) -> Neighbour:
        same = "" if own is None else "song" if clip.song == own.song else "artist" if clip.artist == own.artist else ""
        song = "" if clip.song == clip.path else clip.song  # what a kind of corpus writes that knows no song
        artist = "" if clip.artist in (clip.song, clip.path) else clip.artist
        return Neighbour(distance, clip.path, song, artist, same, self.tags.get(clip.clip_id, ()))


def _tags(file: Path) -> dict[str, tuple[str, ...]]:
    """Return the names of the tags of every clip."""
    if not file.is_file():
        return {}
    table = read_tags(file)
    return {clip_id: table.names(row) for row, clip_id in enumerate(table.clip_ids)}


def as_table(file: str, found: Sequence[Neighbour], tags: int = 40) -> str:
    """Return a table for the terminal; the list of tags is cut to so many characters."""
    known = [name for name in ("artist", "same") if any(getattr(one, name) for one in found)]
    rows = [
        (one.path, f"{one.distance:.4f}", *(getattr(one, name) for name in known), _cut(", ".join(one.tags), tags))
        for one in found
    ]
    return f"{file}\n{markdown_table(rows, ('path', 'distance', *known, 'tags'))}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def as_rows(file: str, found: Sequence[Neighbour]) -> list[dict[str, Any]]:
    """Return a row per neighbour, for JSON."""
    return [{"file": file, **asdict(one)} for one in found]


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a CSV; a text is a ``spreadsheet_cell``, and tags are separated by commas."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = row | {"tags": ",".join(row["tags"])}
        writer.writerow({key: spreadsheet_cell(cell) if isinstance(cell, str) else cell for key, cell in cells.items()})
    return text.getvalue()
