"""Read text files and CSVs that users bring; an error names the file, and the line or byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from earmark.corpus.manifest import CorpusError
from earmark.errors import reason


def read_text(file: Path, key: str = "corpus.annotations", hint: str = "", encoding: str = "utf-8") -> str:
    """Return the content of a text file.

    key: the key of params.yaml that names the file; hint: a likely cause. Both are for errors.

    Raises CorpusError if the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return file.read_text(encoding=encoding)
    except FileNotFoundError:
        raise CorpusError(f"{key}: {file} does not exist{hint}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{key}: {file} is not UTF-8 at byte {error.start}: {error.reason}") from None
    except OSError as error:
        raise CorpusError(f"{key}: {file} cannot be read: {reason(error)}{hint}") from None
    except ValueError as error:  # the name holds a zero byte
        raise CorpusError(f"{key}: {str(file)!r} cannot be read: {error}") from None


def csv_rows(text: str, file: Path, **how: str) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the line number and the cells of each row that is not empty.

    Only line feeds and carriage returns end a line: a name may hold a line separator of Unicode. file: for errors. how:
    options of ``csv.reader``.

    Raises CorpusError if the text is not a CSV, or if a cell goes over several lines.

    >>> list(csv_rows("path,tags\n\nrock/one.mp3,rock|loud\n", Path("music.csv")))
    [(1, ['path', 'tags']), (3, ['rock/one.mp3', 'rock|loud'])]
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, **how)  # type: ignore[arg-type]
    before = 0
    try:
        for cells in reader:
            if reader.line_num > before + 1 and cells:
                raise CorpusError(
                    f"{file}, lines {before + 1} to {reader.line_num}: a cell goes over several lines; is there a "
                    "quotation mark too many?"
                )
            before = reader.line_num
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise CorpusError(f"{file}, line {before + 1}: {error}; is there a quotation mark too many?") from None
