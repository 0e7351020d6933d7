"""The clip table and the tag table: what every corpus yields and every later stage reads."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import EarmarkError

SPLITS = ("train", "valid", "test")


class CorpusError(EarmarkError):
    """A corpus that cannot be used; the text names the file, the line and the value."""


@dataclass(frozen=True)
class Clip:
    """One row of the manifest; ``path`` is relative to the corpus's audio folder, with forward slashes."""

    clip_id: str
    path: str
    shard: str
    song: str
    artist: str
    split: str


@dataclass(frozen=True)
class TagTable:
    """Binary tags: ``values`` is (clips, tags) in {0, 1}, rows in the order of ``clip_ids``."""

    clip_ids: tuple[str, ...]
    tags: tuple[str, ...]
    values: NDArray[np.uint8]


def leaks(clips: Sequence[Clip]) -> dict[str, int]:
    """How many songs and artists lie in more than one split, and how many test clips share theirs with training."""
    found: dict[str, int] = {}
    for group in ("song", "artist"):
        splits: dict[str, set[str]] = {}
        for clip in clips:
            splits.setdefault(getattr(clip, group), set()).add(clip.split)
        found[f"{group}s_in_several_splits"] = sum(len(where) > 1 for where in splits.values())
        found[f"test_clips_whose_{group}_trains"] = sum(
            clip.split == "test" and "train" in splits[getattr(clip, group)] for clip in clips
        )
    return found


def described(clips: Sequence[Clip]) -> str:
    """What leaks between the splits, for a reader."""
    found = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in leaks(clips).items() if count)
    return found or "no song and no artist is in two splits"


def write_text(path: Path, text: str) -> None:
    """Write a file beside ``path`` and rename it into place, so that a killed stage leaves no half file."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """The same for bytes; when it returns the file is on the disk, whatever happens to the machine then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a metrics file; a value that is no number (NaN) is an error, because it is no JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with a header, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_manifest(path: Path, clips: Sequence[Clip]) -> None:
    """Write the clip table in the order given."""
    write_csv(path, [f.name for f in fields(Clip)], (astuple(clip) for clip in clips))


def read_manifest(path: Path) -> list[Clip]:
    """Read the clip table that ``write_manifest`` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Clip(**row) for row in csv.DictReader(file)]


def write_tags(path: Path, table: TagTable) -> None:
    """Write clip_id and one 0/1 column per tag."""
    rows = ([clip_id, *values] for clip_id, values in zip(table.clip_ids, table.values.tolist(), strict=True))
    write_csv(path, ["clip_id", *table.tags], rows)


def read_tags(path: Path) -> TagTable:
    """Read the table that ``write_tags`` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        ids, values = [], []
        for row in reader:
            ids.append(row[0])
            values.append([int(v) for v in row[1:]])
    return TagTable(tuple(ids), tuple(header[1:]), np.array(values, np.uint8).reshape(len(ids), len(header) - 1))
