"""MagnaTagATune (Law et al. 2009): folders 0 to f of MP3s, and a TAB-separated annotations_final.csv."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from earmark.config import CorpusConfig
from earmark.corpus import published_counts
from earmark.corpus.audio_folder import AudioFolder, Matches
from earmark.corpus.manifest import Clip, CorpusError, TagTable
from earmark.corpus.published_counts import BROKEN
from earmark.corpus.text import csv_rows, read_text

FOLDERS = "0123456789abcdef"
_EXCERPT = re.compile(r"-\d+-\d+$")  # the end of a clip's name: where it starts and ends in its song, in seconds


__all__ = ["BROKEN", "corpus", "read", "verify"]


def corpus(config: CorpusConfig) -> tuple[list[Clip], TagTable]:
    """Return the clips below ``corpus.audio`` and the tags in ``corpus.annotations``."""
    return read(config.audio, config.annotations)


def verify(config: CorpusConfig, clips: list[Clip], table: TagTable) -> list[str]:
    """Compare with the published counts, if the folders decide the split. Return lines to print.

    Raises CorpusError if a count differs.
    """
    return published_counts.verify(clips, table) if config.split == "corpus" else []


def read(audio: Path, annotations: Path) -> tuple[list[Clip], TagTable]:
    """Return the clips and their tags, in the order of the annotations.

    A clip whose file is absent stays in the manifest, so that decoding rejects it with a reason and counts it.

    Raises CorpusError if a column is missing, a value is not 0 or 1, an id occurs twice, a path leads out of the
    folders 0 to f, or there is no MP3.
    """
    if not audio.is_dir() or next(audio.glob("*/*.mp3"), None) is None:
        raise CorpusError(f"corpus.audio: {audio} holds no folder with MP3 files; is it the folder that holds 0 to f?")
    clips: list[Clip] = []
    values: list[list[int]] = []
    tags: tuple[str, ...] = ()
    seen: dict[str, int] = {}
    matches = Matches(str(annotations), AudioFolder.of(audio))
    for line, tags, clip_id, row, name in _rows(annotations):
        where = f"{annotations}, line {line}"
        if (paths := matches.read(name, where)) is None:
            continue
        if clip_id in seen:
            raise CorpusError(f"{where}: clip_id {clip_id} stands in line {seen[clip_id]} already")
        seen[clip_id] = line
        clips.append(replace(_clip(clip_id, paths[0], where), path=paths[1]))
        values.append([_binary(v, tag, where) for v, tag in zip(row, tags, strict=True)])
    matches.tell()
    if not clips:
        raise CorpusError(f"{annotations}: no clip below the header")
    return clips, TagTable(tuple(c.clip_id for c in clips), tags, np.array(values, np.uint8))


def _rows(annotations: Path) -> Iterator[tuple[int, tuple[str, ...], str, list[str], str]]:
    """Yield the line number, the names of the tags, the clip id, the tags' values and the path of every row."""
    lines = csv_rows(read_text(annotations), annotations, delimiter="\t")
    _, header = next(lines, (0, []))
    for column, place in (("clip_id", 0), ("mp3_path", -1)):
        if not header or header[place] != column:
            at = "first" if place == 0 else "last"
            raise CorpusError(
                f"{annotations}: the {at} of the TAB-separated columns must be {column}, got {header[:3]}..."
            )
    tags = tuple(header[1:-1])
    if not tags or len(set(tags)) < len(tags):
        told = next((f"{tag!r} twice" for tag in tags if tags.count(tag) > 1), "none")
        raise CorpusError(f"{annotations}: needs tag columns, each once, between clip_id and mp3_path, got {told}")
    for number, row in lines:
        if len(row) != len(header):
            raise CorpusError(f"{annotations}, line {number}: {len(header)} columns expected, got {len(row)}")
        yield number, tags, row[0], row[1:-1], row[-1]


def _clip(clip_id: str, path: str, where: str) -> Clip:
    """Return the clip of a path ``<folder>/<artist>-<album>-<track>-<title>-<start>-<end>.mp3``."""
    parts = PurePosixPath(path)
    if len(parts.parts) != 2:
        raise CorpusError(f"{where}: mp3_path must be <folder>/<name>.mp3 inside the audio folder, got {path!r}")
    folder = parts.parts[0]
    if folder not in FOLDERS or len(folder) != 1:
        raise CorpusError(f"{where}: the folder of mp3_path must be one of 0-9 a-f, got {folder!r}")
    song = _EXCERPT.sub("", parts.stem)
    return Clip(clip_id, path, folder, f"{folder}/{song}", song.split("-")[0], folder_split(folder))


def folder_split(folder: str) -> str:
    """Return the split of a folder in the literature: train for 0 to b, valid for c, test for d to f.

    >>> folder_split("c")
    'valid'
    """
    position = FOLDERS.index(folder)
    return "train" if position < 12 else "valid" if position == 12 else "test"


def _binary(value: str, tag: str, where: str) -> int:
    if value not in ("0", "1"):
        raise CorpusError(f"{where}: tag {tag!r} must be 0 or 1, got {value!r}")
    return int(value)
