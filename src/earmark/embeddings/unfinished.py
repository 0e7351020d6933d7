"""What a run has computed so far, in a file beside its output: a killed run goes on where it was.

It is an SQLite database, which is whole again after a crash, whenever that was; it grows on the disk and not in memory.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np

from earmark.embeddings import table
from earmark.embeddings.table import Entry, Shape
from earmark.errors import EarmarkError

EVERY = 16  # files are written to the disk at one time: so many at most are computed again


class Unfinished:
    """The entries of a table that is not complete yet.

    mark: what decides their values. What lies there with another mark is thrown away, and a line says so. What a
    finished table at ``out`` (HDF5) holds is taken over likewise, if its mark is the same.

    Raises EarmarkError if the file cannot be used, if another run uses it, or if something else lies at ``out``.
    """

    def __init__(self, out: Path, mark: Mapping[str, str]) -> None:
        self.out, self.mark = out, dict(mark)
        self.path = out.with_name(f"{out.name}.partial")
        finished = table.mark_of(out) if out.suffix == ".h5" else None
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self.path, timeout=1)
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._begin()
        except (sqlite3.Error, OSError) as error:
            busy = "another run is writing it" if "locked" in str(error) else str(error)
            raise EarmarkError(f"{self.path} cannot be used: {busy}") from None
        self.finished: dict[str, str] = {}  # what the table holds, path -> source
        if finished is not None and self._same(finished, out):
            self._adopt(table.read(out))
        rows = self._file.execute("SELECT path, source FROM entries")
        self.sources = dict(rows.fetchall())
        self._pending = 0

    def _begin(self) -> None:
        self._file.execute("CREATE TABLE IF NOT EXISTS mark (key TEXT PRIMARY KEY, value TEXT)")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS entries (path TEXT PRIMARY KEY, source TEXT, rows INTEGER, width INTEGER, "
            "starts BLOB, embedding BLOB)"
        )
        there = dict(self._file.execute("SELECT key, value FROM mark").fetchall())
        if there and not self._same(there, self.path):
            self._file.execute("DELETE FROM mark")
            self._file.execute("DELETE FROM entries")
        self._file.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", self.mark.items())
        self._file.commit()

    def _same(self, mark: Mapping[str, str], where: Path) -> bool:
        differ = [key for key in {**mark, **self.mark} if mark.get(key) != self.mark.get(key)]
        if differ:
            told = ", ".join(differ)
            print(f"{where} was made otherwise ({told}): everything is embedded anew", file=sys.stderr)
        return not differ

    def _adopt(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.finished[entry.path] = entry.source
            self._insert(entry, "IGNORE")
        self._file.commit()

    def add(self, entry: Entry) -> None:
        """Keep what was computed of a file; it is on the disk after EVERY files at most.

        Raises EarmarkError if it cannot be written.
        """
        try:
            self._insert(entry, "REPLACE")
            self._pending += 1
            if self._pending >= EVERY:
                self.flush()
        except sqlite3.Error as error:
            raise EarmarkError(f"{self.path} cannot be written: {error}; is there space left?") from None
        self.sources[entry.path] = entry.source

    def _insert(self, entry: Entry, other: str) -> None:
        rows, width = entry.embedding.shape
        starts, embedding = entry.starts.astype("<f8").tobytes(), entry.embedding.astype("<f4").tobytes()
        values = (entry.path, entry.source, rows, width, starts, embedding)
        self._file.execute(f"INSERT OR {other} INTO entries VALUES (?, ?, ?, ?, ?, ?)", values)

    def flush(self) -> None:
        """Write to the disk what has been added."""
        self._file.commit()
        self._pending = 0

    def finish(self, paths: Iterable[str], dtype: str, per_segment: bool) -> int:
        """Write the table of these files, in that order, and remove what was unfinished; return the width.

        A table that holds just these already stays as it is. Raises EarmarkError as ``table.write`` does.
        """
        wanted = list(paths)
        shape = self._shape(wanted, dtype, per_segment)
        if self.finished != {path: self.sources[path] for path in wanted}:
            table.write(self.out, shape, self._entries(wanted), self.mark)
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
            self._file.commit()
            self._file.close()
        except sqlite3.ProgrammingError:  # it is finished, and closed
            pass
