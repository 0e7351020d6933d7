"""The small files that stages write and read: text, JSON and CSV, each written beside its place and renamed."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError, naming, reason


def write_text(path: Path, text: str) -> None:
    """Write a file beside ``path`` and rename it into place, so that a killed stage leaves no half file.

    Raises EarmarkError if the disk is full or the place cannot be written; what stood there before stays.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes as ``write_text`` does; when it returns, the file is on the disk, whatever happens to the machine."""
    with beside(path) as place:
        place.write_bytes(content)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place beside a file to whoever writes it: it is put in place at the end, and removed after an error.

    Raises EarmarkError, which names the file, if it cannot be written; what stood there before stays.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # through a link there somebody else's file would be written
        yield temporary
        put_in_place(temporary, path)
    except OSError as error:
        raise EarmarkError(f"{path} cannot be written: {reason(error)}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished file of the same folder to its place; when this returns, both are on the disk.

    First its content and then its name: if the power fails, the old file is there or the new one, never half of one.
    """
    _sync(temporary)
    temporary.replace(path)
    try:
        _sync(path.parent)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES, errno.ENOTSUP):  # some file systems cannot do it
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file. Raises ValueError if a number is NaN or infinite, because JSON has none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with a header, atomically; a text is a ``spreadsheet_cell``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    write_text(path, text.getvalue())


def spreadsheet_cell(text: str) -> str:
    """Return a cell that a spreadsheet shows as it is: one that begins like a formula would be computed.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("piano")
    ("'=1+1", 'piano')
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def read_json(path: Path) -> dict[str, Any]:
    """Read what ``write_json`` wrote. Raises EarmarkError if it is absent or something else."""
    try:
        content = json.loads(own_text(path), object_pairs_hook=_once_each, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        if isinstance(error, EarmarkError):
            raise
        raise EarmarkError(f"{path} is no JSON: {error}; {AGAIN}") from None
    if not isinstance(content, dict):
        raise EarmarkError(f"{path} must hold a JSON object, got {type(content).__name__}; {AGAIN}")
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the mapping of a JSON object; of a key that stands in it twice one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {key!r} stands in it twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"it holds {text}, which is no number")


def read_csv(path: Path, first: Sequence[str], other_width: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of what ``write_csv`` wrote, whose columns begin with ``first``.

    other_width: how many cells a row has, if not as many as the header.

    Raises EarmarkError if it is absent, has other columns, or a row is cut short.
    """
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(own_text(path), newline=""), strict=True):
            rows.append(row)
    except csv.Error as error:
        raise EarmarkError(f"{path}, row {len(rows) + 1}, is no CSV: {error}; {AGAIN}") from None
    header = rows[0] if rows else []
    if header[: len(first)] != list(first):
        raise EarmarkError(f"{path}: the columns must begin with {', '.join(first)}, got {header[:6]}; {AGAIN}")
    width = len(header) if other_width is None else other_width
    for number, row in enumerate(rows[1:], 2):
        if len(row) != width:
            raise EarmarkError(f"{path}, row {number}: {width} columns expected, got {len(row)}; {AGAIN}")
    return header, rows[1:]


AGAIN = "run the stage that makes it again, or `dvc checkout` it"


def own_text(path: Path) -> str:
    """Return a text that a stage wrote. Raises EarmarkError if it is absent, or cannot be read."""
    try:
        return path.read_bytes().decode()  # a cell may hold a carriage return, which `read_text` would change
    except FileNotFoundError:
        raise EarmarkError(
            f"{path} does not exist; run the stage that makes it (`dvc repro`), or `dvc pull` it"
        ) from None
    except UnicodeDecodeError as error:
        raise EarmarkError(f"{path} is not UTF-8 at byte {error.start}; {AGAIN}") from None
    except OSError as error:
        raise EarmarkError(f"{path} cannot be read: {reason(error)}") from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits. Raises OSError, which names the file."""
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def markdown_table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Return a Markdown table, aligned so that it reads well in a terminal too: the first column left, others right.

    >>> print(markdown_table([("a", "1.5"), ("long name", "22")], ("name", "value")), end="")
    | name      | value |
    |-----------|------:|
    | a         |   1.5 |
    | long name |    22 |
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)]) + "\n"
