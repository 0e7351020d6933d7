"""Tables as a stage would write them, of a text without the checksum."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from earmark.storage import sealed_csv


def unsealed(file: Path) -> str:
    """Return the text of a table without its last column, which is the checksum."""
    return re.sub(r",(?:sha256:[0-9a-f]{64})?$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


def sealed(file: Path, text: str) -> None:
    """Write such a text as a table with its checksum."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    sealed_csv.write(file, header, rows)
