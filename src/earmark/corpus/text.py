"""Text that users bring: absent or in another encoding, it is named."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from earmark.corpus.manifest import CorpusError
from earmark.errors import reason


def read_text(file: Path, key: str = "corpus.annotations", hint: str = "", encoding: str = "utf-8") -> str:
    """Return the content of a text file. Raises CorpusError, with the key of params.yaml, if it cannot be read."""
    try:
        return file.read_text(encoding=encoding)
    except FileNotFoundError:
        raise CorpusError(f"{key}: {file} does not exist{hint}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{key}: {file} is not UTF-8 at byte {error.start}: {error.reason}") from None
    except OSError as error:
        raise CorpusError(f"{key}: {file} cannot be read: {reason(error)}{hint}") from None
    except ValueError as error:  # a name that holds a zero byte
        raise CorpusError(f"{key}: {str(file)!r} cannot be read: {error}") from None


def csv_rows(text: str, file: Path, **how: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of every row of a CSV that is not empty.

    Lines end with line feeds or carriage returns alone: a name may hold a line separator of Unicode. how: options of
    ``csv.reader``. Raises CorpusError if it is not a CSV.
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
