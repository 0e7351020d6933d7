"""What most kinds of corpora share: rows become clips and a tag table, paths are checked, shards are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable
from earmark.corpus.splits import hashed

AUDIO = (".mp3", ".wav", ".flac", ".ogg", ".au")


@dataclass(frozen=True)
class Row:
    """One clip as its corpus describes it; a text is empty if the corpus does not say."""

    where: str  # file and line, for errors
    path: str
    tags: Sequence[str]
    clip_id: str = ""
    song: str = ""
    artist: str = ""
    split: str = ""


def tabulate(rows: Iterable[Row]) -> tuple[list[Clip], TagTable]:
    """Return the clips and the tag table of the rows, with the tags in the order in which they first occur.

    Unless its row says otherwise, a clip's id and song are its path, its artist is its song, and its split follows from
    the artist's name (``splits.hashed``).

    Raises CorpusError if a path leaves the folder, an id occurs twice, a split is unknown, or there is no row.
    """
    clips: list[Clip] = []
    found: list[Sequence[str]] = []
    seen: dict[str, str] = {}
    for row in rows:
        path = safe(row.path, row.where)
        clip_id = row.clip_id or path
        if clip_id in seen:
            raise CorpusError(f"{row.where}: clip {clip_id!r} stands in {seen[clip_id]} already")
        seen[clip_id] = row.where
        if row.split and row.split not in SPLITS:
            raise CorpusError(f"{row.where}: split must be one of {', '.join(SPLITS)}, got {row.split!r}")
        song = row.song or path
        artist = row.artist or song
        clips.append(Clip(clip_id, path, shard_of(path), song, artist, row.split or hashed(artist)))
        found.append(row.tags)
    if not clips:
        raise CorpusError("the corpus has no clip")
    names = list(dict.fromkeys(tag for tags in found for tag in tags))
    place = {tag: i for i, tag in enumerate(names)}
    values = np.zeros((len(clips), len(names)), np.uint8)
    for number, tags in enumerate(found):
        values[number, [place[tag] for tag in tags]] = 1
    return clips, TagTable(tuple(c.clip_id for c in clips), tuple(names), values)


def safe(path: str, where: str) -> str:
    """Return ``path`` in its simplest form. where: file and line, for errors.

    Raises CorpusError if the path is empty or absolute, leaves the audio folder, has backslashes, or is not UTF-8.

    >>> safe("rock//./one.mp3", "music.csv, line 2")
    'rock/one.mp3'
    """
    parts = PurePosixPath(path)
    if "\\" in path:
        forward = path.replace("\\", "/")
        raise CorpusError(f"{where}: the path must have forward slashes, as {forward!r}, got {path!r}")
    if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path:
        raise CorpusError(f"{where}: the path must lie inside the audio folder, got {path!r}")
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        raise CorpusError(f"{where}: the name {path!r} is not UTF-8; rename the file")
    return parts.as_posix()


def shard_of(path: str) -> str:
    """Return the name of a clip's shard: its folder or, if it lies in none, one of sixteen, chosen by a hash.

    Corpora grow by folders, so a new clip changes a single shard.

    >>> shard_of("rock/one.mp3")
    'rock'
    >>> shard_of("Rock & Roll/one.mp3")
    'Rock_Roll-9d47f1'
    """
    folder = PurePosixPath(path).parent.as_posix()
    if folder == ".":
        return hashlib.sha256(path.encode()).hexdigest()[0]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", folder)
    # a digest keeps two folders apart whose names differ only in the characters that were replaced
    return plain if plain == folder else f"{plain}-{hashlib.sha256(folder.encode()).hexdigest()[:6]}"
