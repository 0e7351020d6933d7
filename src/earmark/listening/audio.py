"""Files of the corpus for a browser: where they lie, and which of their bytes are asked for."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from earmark.errors import EarmarkError

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_TYPES = {".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg"}


class RangeError(ValueError):
    """A range of bytes that lies beyond the end of the file."""


def locate(corpus: Path, path: str) -> Path:
    """Return a file of the corpus. path: as in the manifest, below ``corpus``.

    Raises EarmarkError if there is no such file, or if it lies elsewhere: by ``..``, or by a link.
    """
    root = corpus.resolve()
    try:
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise EarmarkError(f"{path} is not in {corpus}: has it moved, or is the music on another machine?") from None
    if not found.is_relative_to(root):
        raise EarmarkError(f"{path} leads out of {corpus}, the corpus's audio: only what lies in it is played")
    if not found.is_file():
        raise EarmarkError(f"{path} is no file")
    return found


def media_type(path: Path) -> str:
    """Return the type of an audio file by its name.

    >>> media_type(Path("a.MP3")), media_type(Path("a.txt"))
    ('audio/mpeg', 'application/octet-stream')
    """
    kind = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or ""
    return kind if kind.startswith("audio/") else "application/octet-stream"


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte that is asked for and the one after the last, None for the whole file (RFC 9110, 14).

    header: the field ``Range``. A range of another unit, several ranges, and what is none are passed over, as the RFC
    has it. Raises RangeError if the file has none of these bytes.

    >>> byte_range("bytes=0-99", 1000), byte_range("bytes=900-", 1000), byte_range("bytes=-100", 1000)
    ((0, 100), (900, 1000), (900, 1000))
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if len(first) > 18 or len(last) > 18:
        raise RangeError
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeError
    return start, end
