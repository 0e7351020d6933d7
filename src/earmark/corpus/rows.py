"""What most kinds of corpora share: rows become clips and a tag table, paths are checked, shards are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from earmark.corpus.audio_folder import AUDIO as AUDIO
from earmark.corpus.audio_folder import AudioFolder, Matches
from earmark.corpus.audio_folder import safe as safe
from earmark.corpus.manifest import SPLITS, Clip, CorpusError, TagTable
from earmark.corpus.notes import note
from earmark.corpus.splits import hashed

SHOWN = 5  # errors
# Bytes of a shard's name. While a shard is written, its file has a dot before the name, and after it .h5, the names of
# the machine and the process, and .copy, which are 13 bytes in any case: a longer one could never be written.
LONGEST = 242


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


def tabulate(rows: Iterable[Row], audio: Path | None = None) -> tuple[list[Clip], TagTable]:
    """Return the clips and the tag table of the rows, with the tags in the order in which they first occur.

    Unless its row says otherwise, a clip's id and song are its path, its artist is its song, and its split is that of
    the artist's other rows or follows from the artist's name (``splits.hashed``). audio: the folder where the paths'
    files are looked for; how many are there, and which rows are left out, is told by ``notes``.

    Raises CorpusError, with the first few rows that are wrong, if a path leaves the folder, an id occurs twice, a split
    is unknown, there is no row, or no row has a file.
    """
    clips: list[Clip] = []
    found: list[Row] = []
    seen: dict[str, str] = {}
    wrong: list[str] = []
    for row, path in _located(rows, audio, wrong):
        try:
            clips.append(_clip(row, path, seen))
            found.append(row)
        except CorpusError as error:
            wrong.append(str(error))
    if wrong:
        raise CorpusError("\n".join(wrong[:SHOWN] + [f"and {len(wrong) - SHOWN} more rows"] * (len(wrong) > SHOWN)))
    if not clips:
        raise CorpusError("the corpus has no clip")
    clips = _dealt(clips, found)
    names = list(dict.fromkeys(tag for row in found for tag in row.tags))
    place = {tag: i for i, tag in enumerate(names)}
    return clips, TagTable.of([c.clip_id for c in clips], names, ([place[tag] for tag in row.tags] for row in found))


def _dealt(clips: list[Clip], rows: Sequence[Row]) -> list[Clip]:
    """Return the clips, those whose rows name no split in that of their artist's other rows, if these name one."""
    named = {clip.artist: clip.split for clip, row in zip(clips, rows, strict=True) if row.split}
    without = sum(not row.split for row in rows)
    if not named or not without:
        return clips
    note(
        f"{without} of {len(rows)} rows name no split: each is in that of its artist's other rows, or where a hash of "
        "the artist's name puts it"
    )
    dealt = zip(clips, rows, strict=True)
    return [clip if row.split else replace(clip, split=named.get(clip.artist, clip.split)) for clip, row in dealt]


def _located(rows: Iterable[Row], audio: Path | None, wrong: list[str]) -> Iterator[tuple[Row, str]]:
    """Yield each row, its path in the simplest form, with the path of its file; texts of errors go to ``wrong``.

    Rows of files of operating systems are left out.
    """
    folder = None if audio is None or not audio.is_dir() else AudioFolder.of(audio)
    tables: dict[str, Matches] = {}
    for row in rows:
        table = row.where.rpartition(", line ")[0] or row.where
        matches = tables.setdefault(table, Matches(table, folder))
        try:
            if (paths := matches.read(row.path, row.where)) is not None:
                yield replace(row, path=paths[0]), paths[1]
        except CorpusError as error:
            wrong.append(str(error))
    if not wrong:
        for matches in tables.values():
            matches.tell()
        if folder is not None:
            folder.tell()


def is_there(audio: Path, path: str) -> bool:
    """Tell whether a path is that of a file below the audio folder; one that no file can have is not."""
    try:
        return (audio / path).is_file()
    except (OSError, ValueError):  # too long, or no name at all: ``tabulate`` names its row
        return False


def _clip(row: Row, file: str, seen: dict[str, str]) -> Clip:
    """Return the clip of a row. seen: where each id of an earlier row stands; this one is added."""
    clip_id = row.clip_id or row.path
    if clip_id in seen:
        raise CorpusError(f"{row.where}: clip {clip_id!r} stands in {seen[clip_id]} already")
    seen[clip_id] = row.where
    if row.split and row.split not in SPLITS:
        raise CorpusError(f"{row.where}: split must be one of {', '.join(SPLITS)}, got {row.split!r}")
    song = row.song or row.path
    artist = row.artist or song
    return Clip(clip_id, file, shard_of(row.path), song, artist, row.split or hashed(artist))


def shard_of(path: str) -> str:
    """Return the name of a clip's shard: its folder or, if it lies in none, one of sixteen, chosen by a hash.

    Corpora grow by folders, so a new clip changes a single shard. A folder's name that is too long is cut.

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
    digest = hashlib.sha256(folder.encode()).hexdigest()
    name = plain if plain == folder else f"{plain}-{digest[:6]}"
    return name if len(name) <= LONGEST else f"{plain[: LONGEST - 17]}-{digest[:16]}"
