"""The embeddings of any number of audio files: decoded ahead, computed one after the other, kept as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark import progress
from earmark.decode.audio import RejectedError
from earmark.decode.audio_files import why_not
from earmark.embeddings.embedder import Embedder
from earmark.embeddings.table import Entry
from earmark.embeddings.unfinished import Unfinished
from earmark.errors import EarmarkError, reason
from earmark.features.ahead import DecodedAhead, ahead
from earmark.files import digest, write_csv


@dataclass(frozen=True)
class Outcome:
    """How many files a table holds, how many of them were computed now, its width, and the rest with the reasons."""

    files: int
    computed: int
    width: int
    rejected: Mapping[str, str]

    def reasons(self) -> str:
        """Return the reasons with their counts, the most frequent first."""
        return ", ".join(f"{reason} ({count})" for reason, count in Counter(self.rejected.values()).most_common(5))


@dataclass(frozen=True)
class Read:
    """A file that was read: SHA-256 of its bytes, and its blocks; None if its embedding is there already."""

    source: str
    blocks: DecodedAhead | None


def rejects(out: Path) -> Path:
    """Return where the files are listed that a table lacks.

    >>> rejects(Path("a/x.h5")).as_posix()
    'a/x.h5.rejected.csv'
    """
    return out.with_name(f"{out.name}.rejected.csv")


def embed_files(
    embedder: Embedder,
    files: Mapping[str, Path],
    out: Path,
    dtype: str = "float32",
    per_segment: bool = False,
    unread: Mapping[str, str] | None = None,
) -> Outcome:
    """Write the embeddings of ``files`` into a table, and beside it a CSV of those that have none, if there are any.

    files: by the names that they have in the table, whose order it has. per_segment: a row per segment, and not one per
    file. unread: folders that could not be read, with the reason. What an earlier run has computed of the same bytes in
    the same way is not computed again: a killed run's, and what an HDF5 table holds.

    Raises EarmarkError if no file has an embedding, or if the table cannot be written.
    """
    mark = {**embedder.mark, "rows": "segments" if per_segment else "files", "dtype": dtype}
    rejected = dict(unread or {})
    computed = 0
    with Unfinished(out, mark) as done:
        with progress.bar(len(files), "embed", "file") as bar:
            for name, found in ahead(lambda name: _read(embedder, name, files[name], done.sources.get(name)), files):
                try:
                    entry = _embedded(embedder, name, files[name], found.result(), per_segment)
                except (RejectedError, ValueError, OSError, MemoryError) as error:
                    rejected[name] = _why(error)
                else:
                    if entry is not None:
                        done.add(entry)
                        computed += 1
                bar.update()
        _list(rejects(out), rejected)
        kept = [name for name in files if name not in rejected]
        if not kept:
            lacking = f"none of the {len(files)} files has an embedding"
            raise EarmarkError(f"{out} is not written: {lacking}; {rejects(out)} says why")
        width = done.finish(kept, dtype, per_segment)
    return Outcome(len(kept), computed, width, rejected)


def _read(embedder: Embedder, name: str, path: Path, known: str | None) -> Read:
    """Read a file, and begin to decode it unless it has the digest ``known``."""
    name.encode()  # libsndfile and HDF5 take UTF-8 names alone
    if not path.is_file():
        raise RejectedError("no such file")
    source = digest(path)
    return Read(source, None if source == known else DecodedAhead(embedder.listener, path))


def _embedded(embedder: Embedder, name: str, path: Path, read: Read, per_segment: bool) -> Entry | None:
    """Return what a table holds of a file, None if it is there already.

    Raises RejectedError if the embedding is not finite, EarmarkError if the network fails on the file.
    """
    if read.blocks is None:
        return None
    starts, segments, lacking = embedder.rows(path, read.blocks)
    if lacking:
        progress.line(f"warning: {as_text(name)}: {lacking}")
    if not np.isfinite(segments).all():
        raise RejectedError("its embedding is not finite")
    if per_segment:
        return Entry(name, read.source, starts, segments)
    return Entry(name, read.source, np.zeros(1), segments.mean(axis=0)[None])


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"not readable: {reason(error)}"
    if isinstance(error, MemoryError):
        return "too long for the memory of this machine"
    return why_not(error)


def _list(file: Path, rejected: Mapping[str, str]) -> None:
    """Write the reject list; there is none if nothing was rejected."""
    if rejected:
        write_csv(file, ("path", "reason"), ((as_text(name), why) for name, why in rejected.items()))
    else:
        file.unlink(missing_ok=True)


def as_text(name: str) -> str:
    """Return the name of a file, which need not be text, with an escape in place of each byte that is none."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
