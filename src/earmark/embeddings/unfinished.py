"""What a run has computed so far, in a file beside its output: a killed run goes on where it was.

It is an SQLite database, which is whole again after a crash, whenever that was; it grows on the disk and not in memory.
SQLite does not notice a value that has become another on the disk, so every row has a checksum.
"""

from __future__ import annotations

import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from earmark.embeddings import table
from earmark.embeddings.table import Entry, Shape
from earmark.errors import EarmarkError

EVERY = 16  # files are written to the disk at one time: so many at most are computed again
_CELLS = "path, source, rows, width, starts, embedding"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)  # the second: there are other tables or columns


class Unfinished:
    """The entries of a table that is not complete yet.

    mark: what decides their values. What lies there with another mark is thrown away, as is what is damaged or of
    another version, and a line says so. What a finished table at ``out`` (HDF5) holds is taken over likewise, if its
    mark is the same.

    Raises EarmarkError if the file cannot be used, if another run uses it, or if something else lies at ``out``.
    """

    def __init__(self, out: Path, mark: Mapping[str, str]) -> None:
        self.out, self.mark = out, dict(mark)
        self.path = out.with_name(f"{out.name}.partial")
        finished = table.mark_of(out) if out.suffix == ".h5" else None
        self.finished: dict[str, str] = {}  # what the table holds, path -> source
        self._pending = 0
        with self._told("used"):
            out.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
                    raise
                told = f"is damaged, or of another version ({' '.join(str(error).split())})"
                print(f"{self.path} {told}: everything is embedded anew", file=sys.stderr)
                for file in (self.path, self.path.with_name(f"{self.path.name}-journal")):
                    file.unlink(missing_ok=True)
                self._open()
            if finished is not None and self._same(finished, out):
                self._adopt(table.read(out))

    @contextmanager
    def _told(self, what: str, hint: str = "") -> Iterator[None]:
        """Turn an error of SQLite or of the system into one that says what cannot be done with the file."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = "another run is writing it" if "locked" in str(error) else f"{error}{hint}"
            raise EarmarkError(f"{self.path} cannot be {what}: {why}") from None

    def _open(self) -> None:
        """Open the file for this run alone, and take over what fits. Raises sqlite3.Error if it cannot be read."""
        self._file = sqlite3.connect(self.path, timeout=1)
        try:
            self._file.text_factory = lambda raw: raw.decode(errors="replace")  # the checksum notices
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("BEGIN EXCLUSIVE")
            self._take_over()
            self._file.commit()
        except BaseException as error:
            self._file.close()
            if isinstance(error, UnicodeDecodeError):  # of the words for a name in its schema
                raise sqlite3.DatabaseError(str(error)) from None
            raise

    def _take_over(self) -> None:
        (state,) = self._file.execute("PRAGMA integrity_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        self._file.execute("CREATE TABLE IF NOT EXISTS mark (key TEXT PRIMARY KEY, value TEXT)")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS entries (path TEXT PRIMARY KEY, source TEXT, rows INTEGER, width INTEGER, "
            "starts BLOB, embedding BLOB, crc32 INTEGER)"
        )
        there = dict(self._file.execute("SELECT key, value FROM mark").fetchall())
        if not there or not self._same(there, self.path):
            self._file.execute("DELETE FROM mark")
            self._file.execute("DELETE FROM entries")
        self._file.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", self.mark.items())
        self.sources: dict[str, str] = {}
        damaged = []
        for row, *cells, crc32 in self._file.execute(f"SELECT rowid, {_CELLS}, crc32 FROM entries"):
            if crc32 == _crc32(cells):
                self.sources[cells[0]] = cells[1]
            else:
                damaged.append([row])
        if damaged:
            print(f"{self.path} is damaged: {len(damaged)} of its files are embedded anew", file=sys.stderr)
            self._file.executemany("DELETE FROM entries WHERE rowid = ?", damaged)

    def _same(self, mark: Mapping[str, str], where: Path) -> bool:
        differ = [key for key in {**mark, **self.mark} if mark.get(key) != self.mark.get(key)]
        if differ:
            told = ", ".join(map(str, differ))
            print(f"{where} was made otherwise ({told}): everything is embedded anew", file=sys.stderr)
        return not differ

    def _adopt(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.finished[entry.path] = entry.source
            self.sources.setdefault(entry.path, entry.source)
            self._insert(entry, "IGNORE")
        self._file.commit()

    def add(self, entry: Entry) -> None:
        """Keep what was computed of a file; it is on the disk after EVERY files at most.

        Raises EarmarkError if it cannot be written.
        """
        with self._told("written", "; is there space left?"):
            self._insert(entry, "REPLACE")
        self.sources[entry.path] = entry.source
        self._pending += 1
        if self._pending >= EVERY:
            self.flush()

    def _insert(self, entry: Entry, other: str) -> None:
        rows, width = entry.embedding.shape
        starts, embedding = entry.starts.astype("<f8").tobytes(), entry.embedding.astype("<f4").tobytes()
        cells = [entry.path, entry.source, rows, width, starts, embedding]
        self._file.execute(f"INSERT OR {other} INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", [*cells, _crc32(cells)])

    def flush(self) -> None:
        """Write to the disk what has been added. Raises EarmarkError if it cannot be written."""
        with self._told("written", "; is there space left?"):
            self._file.commit()
        self._pending = 0

    def finish(self, paths: Iterable[str], dtype: str, per_segment: bool) -> int:
        """Write the table of these files, in that order, and remove what was unfinished; return the width.

        A table that holds just these already stays as it is. Raises EarmarkError as ``table.write`` does.
        """
        wanted = list(paths)
        with self._told("read"):
            shape = self._shape(wanted, dtype, per_segment)
            if self.finished != {path: self.sources[path] for path in wanted}:
                table.write(self.out, shape, self._entries(wanted), self.mark)
        self._pending = 0
        self._file.close()
        self.path.unlink()
        return shape.width

    def _shape(self, wanted: list[str], dtype: str, per_segment: bool) -> Shape:
        sizes = [self._file.execute("SELECT rows, width FROM entries WHERE path = ?", [p]).fetchone() for p in wanted]
        widths = {int(width) for _, width in sizes}
        if len(widths) > 1:
            raise EarmarkError(f"{self.out}: the width of all embeddings must be the same, got {sorted(widths)}")
        longest = max(len(path.encode()) for path in wanted)
        return Shape(sum(rows for rows, _ in sizes), widths.pop(), dtype, longest, per_segment)

    def _entries(self, wanted: list[str]) -> Iterator[Entry]:
        for path in wanted:
            chosen = "SELECT source, rows, width, starts, embedding FROM entries WHERE path = ?"
            source, rows, width, starts, embedding = self._file.execute(chosen, [path]).fetchone()
            yield Entry(
                path, source, np.frombuffer(starts, "<f8"), np.frombuffer(embedding, "<f4").reshape(rows, width)
            )

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what has been added, whatever ended the run."""
        try:
            if self._pending:  # none is, if it is finished and closed
                self.flush()
        finally:
            self._file.close()


def _crc32(cells: list[Any]) -> int:
    """Return the checksum of a row, whatever its cells are."""
    return zlib.crc32(repr(cells).encode())
