"""The clip table and the tag table: what every corpus yields and every later stage reads."""

from __future__ import annotations

import contextlib
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

from earmark.errors import EarmarkError, reason

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
    """Write a file beside ``path`` and rename it into place, so that a killed stage leaves no half file.

    Raises EarmarkError where the disk is full or the place cannot be written; what stood there before stays.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """The same for bytes; when it returns the file is on the disk, whatever happens to the machine then."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise EarmarkError(f"{path} cannot be written: {reason(error)}") from None


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


def read_json(path: Path) -> dict[str, Any]:
    """Read what ``write_json`` wrote; EarmarkError where it is absent or something else."""
    try:
        content = json.loads(_own_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, EarmarkError):
            raise
        raise EarmarkError(f"{path} is no JSON: {error}; {_AGAIN}") from None
    if not isinstance(content, dict):
        raise EarmarkError(f"{path} must hold a JSON object, got {type(content).__name__}; {_AGAIN}")
    return content


def read_csv(path: Path, first: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of what ``write_csv`` wrote, whose columns begin with ``first``.

    Raises EarmarkError where it is absent, has other columns, or a row is cut short.
    """
    try:
        rows = list(csv.reader(io.StringIO(_own_text(path), newline="")))
    except csv.Error as error:
        raise EarmarkError(f"{path} is no CSV: {error}; {_AGAIN}") from None
    header = rows[0] if rows else []
    if header[: len(first)] != list(first):
        raise EarmarkError(f"{path}: the columns must begin with {', '.join(first)}, got {header[:6]}; {_AGAIN}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise EarmarkError(f"{path}, row {number}: {len(header)} columns expected, got {len(row)}; {_AGAIN}")
    return header, rows[1:]


_AGAIN = "run the stage that makes it again, or `dvc checkout` it"


def _own_text(path: Path) -> str:
    """A text that a stage wrote."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EarmarkError(
            f"{path} does not exist; run the stage that makes it (`dvc repro`), or `dvc pull` it"
        ) from None
    except UnicodeDecodeError as error:
        raise EarmarkError(f"{path} is not UTF-8 at byte {error.start}; {_AGAIN}") from None


def write_manifest(path: Path, clips: Sequence[Clip]) -> None:
    """Write the clip table in the order given."""
    write_csv(path, [f.name for f in fields(Clip)], (astuple(clip) for clip in clips))


def read_manifest(path: Path) -> list[Clip]:
    """Read the clip table that ``write_manifest`` wrote."""
    return [Clip(*row) for row in read_csv(path, [f.name for f in fields(Clip)])[1]]


def write_tags(path: Path, table: TagTable) -> None:
    """Write clip_id and one 0/1 column per tag."""
    rows = ([clip_id, *values] for clip_id, values in zip(table.clip_ids, table.values.tolist(), strict=True))
    write_csv(path, ["clip_id", *table.tags], rows)


def read_tags(path: Path) -> TagTable:
    """Read the table that ``write_tags`` wrote."""
    header, rows = read_csv(path, ["clip_id"])
    return TagTable(tuple(row[0] for row in rows), tuple(header[1:]), binary(path, header[1:], [r[1:] for r in rows]))


def binary(path: Path, tags: Sequence[str], rows: Sequence[Sequence[str]]) -> NDArray[np.uint8]:
    """Cells of 0 and 1 as (rows, tags); EarmarkError names the first that is something else."""
    for number, row in enumerate(rows, 2):
        if not set(row) <= {"0", "1"}:
            place = next(i for i, cell in enumerate(row) if cell not in ("0", "1"))
            raise EarmarkError(f"{path}, row {number}: {tags[place]!r} must be 0 or 1, got {row[place]!r}; {_AGAIN}")
    values: NDArray[np.uint8] = (np.array(rows, dtype=object).reshape(len(rows), len(tags)) == "1").astype(np.uint8)
    return values
