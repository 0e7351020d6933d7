"""Read text files and CSVs that users bring; an error names the file, and the line or byte."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from earmark.corpus.manifest import CorpusError
from earmark.corpus.notes import note
from earmark.errors import reason
from earmark.sections import near

DELIMITERS = (",", ";", "\t")
_MARKS = {  # byte order marks; that of UTF-32 begins as that of UTF-16
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF32_LE: "UTF-32-LE",
    codecs.BOM_UTF32_BE: "UTF-32-BE",
    codecs.BOM_UTF16_LE: "UTF-16-LE",
    codecs.BOM_UTF16_BE: "UTF-16-BE",
}


def read_text(file: Path, key: str = "corpus.annotations", hint: str = "") -> str:
    """Return the content of a text file: UTF-8, or what its byte order mark says, which is left out.

    key: the key of params.yaml that names the file; hint: a likely cause. Both are for errors.

    Raises CorpusError if the file is missing, cannot be read, or is not in that encoding.
    """
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise CorpusError(f"{key}: {file} does not exist{hint}") from None
    except OSError as error:
        raise CorpusError(f"{key}: {file} cannot be read: {reason(error)}{hint}") from None
    except ValueError as error:  # the name holds a zero byte
        raise CorpusError(f"{key}: {str(file)!r} cannot be read: {error}") from None
    mark, encoding = next(((m, name) for m, name in _MARKS.items() if raw.startswith(m)), (b"", "UTF-8"))
    try:
        return raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        at = len(mark) + error.start
        line = 1 + raw.count(b"\n", 0, at)
        raise CorpusError(
            f"{key}: {file} is not {encoding} at byte {at}, in line {line}: {error.reason}; save it as UTF-8"
        ) from None


def lines(text: str, file: Path) -> list[str]:
    r"""Return the lines of a text, with their ends: only line feeds and carriage returns end one.

    A name may hold a line separator of Unicode, a form feed and the like. file: for errors.

    Raises CorpusError if there is a NUL, which no path and no name can hold.

    >>> lines("Sigur\u2028Rós\r\nAnn\n", Path("artists.csv"))
    ['Sigur\u2028Rós\r\n', 'Ann\n']
    """
    found = list(io.StringIO(text, newline=""))
    if "\0" in text:
        number = next(number for number, line in enumerate(found, 1) if "\0" in line)
        raise CorpusError(
            f"{file}, line {number}: a NUL byte; the file is damaged, or UTF-16 without a byte order mark: save it "
            "as UTF-8"
        )
    return found


def csv_rows(text: str, file: Path, **how: str) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the line number and the cells of each row that is not empty, in strict CSV (RFC 4180).

    Blanks before a cell do not count. Rows whose cells are all empty, with which a spreadsheet may end, are left out.
    file: for errors. how: options of ``csv.reader``.

    Raises CorpusError, with the line where a quoted cell begins, if a quotation mark is not closed in its line, or
    stands inside a cell that does not begin with one.

    >>> list(csv_rows("path,tags\n\nrock/one.mp3,rock|loud\n", Path("music.csv")))
    [(1, ['path', 'tags']), (3, ['rock/one.mp3', 'rock|loud'])]
    """
    given = lines(text, file)
    strictly = _strict_row(how.get("delimiter", ","))
    reader = csv.reader(given, strict=True, skipinitialspace=True, **how)  # type: ignore[arg-type]
    before = 0
    try:
        for cells in reader:
            if reader.line_num > before + 1:
                raise CorpusError(
                    f"{file}, lines {before + 1} to {reader.line_num}: a cell goes over several lines; is there a "
                    "quotation mark too many?"
                )
            line, before = given[before], reader.line_num
            if '"' in line and not strictly.fullmatch(line.rstrip("\r\n")):
                raise CorpusError(
                    f"{file}, line {before}: a quotation mark inside a cell that does not begin with one; is there one "
                    'too many? A cell that holds one is written as "7"" single"'
                )
            if any(cell.strip() for cell in cells):
                yield before, cells
    except csv.Error as error:
        raise CorpusError(f"{file}, line {before + 1}: {error}; is there a quotation mark too many?") from None


def _strict_row(delimiter: str) -> re.Pattern[str]:
    """Return what a line of CSV must be: quotation marks stand around a cell, or twice within such a cell."""
    end = re.escape(delimiter)
    cell = rf'(?: *"[^"]*(?:""[^"]*)*"|[^"{end}]*)'
    return re.compile(f"{cell}(?:{end}{cell})*")


def csv_records(
    text: str, file: Path, needed: Sequence[str], known: Collection[str] | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    r"""Yield where each row of a table with a header stands, and its cells by the names of their columns.

    Cells are separated by commas or, if the header is, by semicolons or TABs, which is told. needed: columns that must
    be there; known: all that there may be, if others are refused.

    Raises CorpusError, with the line, if a column is missing, unknown or there twice, or if a row has too few cells or
    too many.

    >>> list(csv_records("path,tags\na.mp3, loud\n", Path("music.csv"), ["path"]))
    [('music.csv, line 2', {'path': 'a.mp3', 'tags': 'loud'})]
    """
    text = re.sub(r"\Asep=.(?=\r|\n)", "", text)  # Excel's own first line; what follows keeps the number of its line
    delimiter = _delimiter(text, file, needed)
    rows = csv_rows(text, file, delimiter=delimiter)
    _, header = next(rows, (0, []))
    header = [name.strip() for name in header]
    if missing := [name for name in needed if name not in header]:
        told = f"got {', '.join(header) or 'an empty file'}{near(missing[0], header)}"
        raise CorpusError(f"{file}: column {missing[0]!r} is missing, {told}")
    if known is not None and (unknown := [name for name in header if name not in known]):
        raise CorpusError(f"{file}: column {unknown[0]!r} is none of {', '.join(known)}")
    if twice := [name for name in header if header.count(name) > 1]:
        raise CorpusError(f"{file}: column {twice[0]!r} stands in the header more than once")
    for number, cells in rows:
        where = f"{file}, line {number}"
        if len(cells) != len(header):
            raise CorpusError(f"{where}: {len(header)} columns expected, got {len(cells)}{_why(cells, header)}")
        yield where, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _delimiter(text: str, file: Path, needed: Sequence[str]) -> str:
    """Return the first of DELIMITERS that cuts the header into cells of which all that are needed are there."""
    header = next((line for line in lines(text, file) if line.strip()), "")
    for delimiter in DELIMITERS:
        cells = {cell.strip(' "\r\n') for cell in header.split(delimiter)}
        if cells.issuperset(needed):
            if delimiter != DELIMITERS[0]:
                note(f"{file}: its cells are separated by {delimiter!r}")
            return delimiter
    return DELIMITERS[0]


def _why(cells: Sequence[str], header: Sequence[str]) -> str:
    """Return a likely cause of a row with another number of cells than the header has."""
    if len(cells) > len(header):
        return "; a cell with a comma in it needs quotation marks"
    other = [d for d in DELIMITERS if sum(cell.count(d) for cell in cells) + len(cells) == len(header)]
    return f"; is it separated by {other[0]!r}, which the header is not?" if other else "; is it cut off?"
