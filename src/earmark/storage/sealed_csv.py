"""Tables that stages pass on, as CSV with a checksum: a digit that has become another is noticed.

The checksum is the name of a last column that is empty: ``clip_id,...,sha256:<64 digits>``. So it moves with the file,
and any reader of CSV can do without it. It is that of the file's bytes without these 71 characters. A table that has
none is refused: an edit that loses it would go unnoticed.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.files import read_csv, write_text

_SEAL = re.compile(rb"(?<=,)sha256:([0-9a-f]{64})(?=\n)")


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a header and its checksum, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, ""])
    end = text.tell() - 1
    writer.writerows([*row, ""] for row in rows)
    content = text.getvalue()
    write_text(path, f"{content[:end]}sha256:{hashlib.sha256(content.encode()).hexdigest()}{content[end:]}")


def read(
    path: Path, first: Sequence[str], again: str, other_width: int | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table whose columns begin with ``first``, without the checksum.

    again: what to do if the table is damaged, for errors. other_width: how many cells a row has, if not as many as the
    header.

    Raises EarmarkError if the file is absent, is no such table, has no checksum, or is not what was written.
    """
    content = b""
    with contextlib.suppress(OSError):  # which `read_csv` explains
        content = path.read_bytes()
    seal = _SEAL.search(content)
    header, rows = read_csv(path, first, other_width if other_width is None or seal is None else other_width + 1)
    if seal is None:
        raise EarmarkError(
            f"{path} has no checksum: an earlier version made it, it was edited, or it is cut off; {again}"
        )
    summary = hashlib.sha256(content[: seal.start()])
    summary.update(content[seal.end() :])
    if summary.hexdigest() != seal[1].decode():
        raise EarmarkError(f"{path} is not what was written: it is damaged, or was edited by hand; {again}")
    return header[:-1], [row[:-1] for row in rows]
