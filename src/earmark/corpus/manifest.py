"""The manifest and the tag table: every kind of corpus yields them, every later stage reads them."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from earmark.errors import EarmarkError
from earmark.files import AGAIN
from earmark.storage import sealed_csv

SPLITS = ("train", "valid", "test")
WIDE = 1_000  # tags of a table; above them it holds the few that each clip has, and not all zeros
_CORPUS = "edit the corpus's own annotations, and run `dvc repro corpus`; `dvc checkout` brings back what was written"
_MARK = "numbers of:"  # the second cell of such a table


class CorpusError(EarmarkError):
    """A corpus that cannot be used; the text names the file, the line and the value."""


@dataclass(frozen=True)
class Clip:
    """One row of the manifest.

    path: relative to the corpus's audio folder, with forward slashes. shard: the name of the shard that stores it.
    split: one of SPLITS.
    """

    clip_id: str
    path: str
    shard: str
    song: str
    artist: str
    split: str


@dataclass(frozen=True)
class TagTable:
    """The tags of all clips. values: (clips, tags) in {0, 1}, rows in the order of ``clip_ids``.

    Of a corpus with more than WIDE tags the values are sparse, in compressed rows; what is chosen of them is an array.
    """

    clip_ids: tuple[str, ...]
    tags: tuple[str, ...]
    values: NDArray[np.uint8] | csr_array

    @classmethod
    def of(cls, clip_ids: Sequence[str], tags: Sequence[str], numbers: Iterable[Iterable[int]]) -> TagTable:
        """Return the table of clips that have the tags of these numbers."""
        columns, ends = array("i"), array("q", [0])
        for row in numbers:
            columns.extend(sorted(set(row)))
            ends.append(len(columns))
        found = csr_array((np.ones(len(columns), np.uint8), columns, ends), (len(clip_ids), len(tags)))
        return cls(tuple(clip_ids), tuple(tags), found if len(tags) > WIDE else found.toarray())

    def numbers(self, row: int) -> list[int]:
        """Return the numbers of the tags that the clip of a row has, in order."""
        if isinstance(self.values, csr_array):
            begin, end = self.values.indptr[row : row + 2]
            return list(self.values.indices[begin:end].tolist())
        return np.flatnonzero(self.values[row]).tolist()

    def names(self, row: int) -> tuple[str, ...]:
        """Return the tags that the clip of a row has."""
        return tuple(self.tags[number] for number in self.numbers(row))


def leaks(clips: Sequence[Clip]) -> dict[str, int]:
    """Count the songs and artists in several splits, and the test clips whose song or artist is also in training."""
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
    """Return in words what leaks between the splits."""
    found = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in leaks(clips).items() if count)
    return found or "no song and no artist is in two splits"


def write_manifest(path: Path, clips: Sequence[Clip]) -> None:
    """Write one row per clip, in the order given."""
    sealed_csv.write(path, [f.name for f in fields(Clip)], (astuple(clip) for clip in clips))


def read_manifest(path: Path) -> list[Clip]:
    """Return the clips that ``write_manifest`` wrote.

    Raises EarmarkError if the file is missing or damaged, or if a path leaves the audio folder, a shard's name is a
    path, or a split or an id cannot be.
    """
    names = [f.name for f in fields(Clip)]
    header, rows = sealed_csv.read(path, names, _CORPUS)
    if header != names:
        raise EarmarkError(
            f"{path}: the columns must be {', '.join(names)}, got another, {header[len(names)]}; {AGAIN}"
        )
    clips = [Clip(*row) for row in rows]
    require_clips(path, clips, _CORPUS)
    for number, clip in enumerate(clips, 2):
        if not clip.path or clip.path.startswith("/") or ".." in clip.path.split("/") or "\0" in clip.path:
            raise EarmarkError(
                f"{path}, row {number}: path must lie inside the audio folder, got {clip.path!r}; {_CORPUS}"
            )
        if not is_shard(clip.shard):
            raise EarmarkError(f"{path}, row {number}: shard must be a plain name, got {clip.shard!r}; {_CORPUS}")
    return clips


def is_shard(name: str) -> bool:
    """Tell whether a shard may have this name: it is no path, and no hidden file."""
    return bool(name) and not name.startswith(".") and not set(name) & set("/\\\0")


class _Named(Protocol):
    @property
    def clip_id(self) -> str: ...
    @property
    def split(self) -> str: ...


def require_clips(path: Path, clips: Sequence[_Named], again: str) -> None:
    """Raise EarmarkError, which names the row of the table, for an id that cannot be or stands twice, or a split."""
    require_ids(path, [clip.clip_id for clip in clips], again)
    for number, clip in enumerate(clips, 2):
        if clip.split not in SPLITS:
            raise EarmarkError(
                f"{path}, row {number}: split must be one of {', '.join(SPLITS)}, got {clip.split!r}; {again}"
            )


def require_ids(path: Path, clip_ids: Sequence[str], again: str) -> None:
    """Raise EarmarkError, which names the row, for an id that is empty, has a NUL, or stands in two rows."""
    seen: set[str] = set()
    for number, clip_id in enumerate(clip_ids, 2):
        if not clip_id or "\0" in clip_id or clip_id in seen:
            raise EarmarkError(
                f"{path}, row {number}: clip_id must be a text without NUL, in no other row, got {clip_id!r}; {again}"
            )
        seen.add(clip_id)


def write_tags(path: Path, table: TagTable) -> None:
    """Write one row per clip: clip_id and the 0/1 tags; or, of more than WIDE tags, the numbers of those that it has.

    Such a table has the header ``clip_id,numbers of:,tag,tag,...`` and rows of two cells: the id, and numbers from 0,
    with blanks between them.
    """
    if len(table.tags) > WIDE:
        sparse = ([clip_id, " ".join(map(str, table.numbers(row)))] for row, clip_id in enumerate(table.clip_ids))
        sealed_csv.write(path, ["clip_id", _MARK, *table.tags], sparse)
        return
    rows = ([clip_id, *values] for clip_id, values in zip(table.clip_ids, table.values.tolist(), strict=True))
    sealed_csv.write(path, ["clip_id", *table.tags], rows)


def read_tags(path: Path) -> TagTable:
    """Return the table that ``write_tags`` wrote.

    Raises EarmarkError if the file is missing or damaged, an id cannot be, or if a value is not 0 or 1.
    """
    header, rows = sealed_csv.read(path, ["clip_id"], _CORPUS, 2 if _is_sparse(path) else None)
    require_ids(path, [row[0] for row in rows], _CORPUS)
    if _is_sparse(path):
        return _from_numbers(path, tuple(header[2:]), rows)
    return TagTable(tuple(row[0] for row in rows), tuple(header[1:]), binary(path, header[1:], [r[1:] for r in rows]))


def _is_sparse(path: Path) -> bool:
    """Tell whether a table holds numbers of tags."""
    beginning = f"clip_id,{_MARK},".encode()
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(beginning)) == beginning
    return False


def _from_numbers(path: Path, tags: tuple[str, ...], rows: Sequence[Sequence[str]]) -> TagTable:
    """Return the table of rows of two cells. Raises EarmarkError at the first that holds what is no tag's number."""
    if len(set(tags)) < len(tags):
        raise EarmarkError(f"{path}: a tag stands in the header more than once; {AGAIN}")
    return TagTable.of([row[0] for row in rows], tags, _numbers(path, len(tags), rows))


def _numbers(path: Path, tags: int, rows: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    for row, (_, cell) in enumerate(rows, 2):
        cells = cell.split()
        if not all(number.isascii() and number.isdecimal() and int(number) < tags for number in cells):
            raise EarmarkError(f"{path}, row {row}: numbers below {tags} expected, got {cell[:60]!r}; {AGAIN}")
        yield [int(number) for number in cells]


def binary(path: Path, tags: Sequence[str], rows: Sequence[Sequence[str]]) -> NDArray[np.uint8]:
    """Return the cells as an array (rows, tags) in {0, 1}.

    Raises EarmarkError if a tag stands in the header twice, and at the first cell that is not 0 or 1.
    """
    if len(set(tags)) < len(tags):
        twice = next(tag for tag in tags if tags.count(tag) > 1)
        raise EarmarkError(f"{path}: column {twice!r} stands in the header more than once; {AGAIN}")
    values = np.empty((len(rows), len(tags)), np.uint8)
    for number, row in enumerate(rows):
        if not set(row) <= {"0", "1"}:
            place = next(i for i, cell in enumerate(row) if cell not in ("0", "1"))
            raise EarmarkError(f"{path}, row {number + 2}: {tags[place]!r} must be 0 or 1, got {row[place]!r}; {AGAIN}")
        values[number] = np.frombuffer("".join(row).encode(), np.uint8)
    return values - np.uint8(ord("0"))
