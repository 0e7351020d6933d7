"""The tags of an audio file in a JSON file beside it, ``song.mp3.tags.json``."""

from __future__ import annotations

import json
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.files import write_json
from earmark.tagging.provenance import Written

SUFFIX = ".tags.json"


def place(file: Path) -> Path:
    """Return where the tags of a file stand."""
    return file.with_name(file.name + SUFFIX)


def write(file: Path, tags: Written) -> str:
    """Write the tags of a file beside it, and return what was done.

    Raises EarmarkError if something else stands there, which is not overwritten, or if the folder cannot be written.
    """
    target = place(file)
    if target.exists() and not _ours(target):
        raise EarmarkError(f"{target} is not overwritten: earmark did not write it")
    write_json(target, tags.as_dict())
    return f"{target}: {', '.join(tags.names) or 'no tag is predicted'}"


def undo(file: Path) -> str | None:
    """Delete what ``write`` wrote, and return what was done; None if there is nothing."""
    target = place(file)
    if not target.exists():
        return None
    if not _ours(target):
        raise EarmarkError(f"{target} is not deleted: earmark did not write it")
    target.unlink()
    return f"{target}: deleted"


def _ours(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would keep who reads it waiting
            return False
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"earmark", "model", "tags"} <= set(content)
