"""How much room a disk has, and what is refused before it is begun, because it would not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

from earmark.errors import EarmarkError

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def in_words(size: float) -> str:
    """Return a number of bytes with its unit.

    >>> in_words(0), in_words(2_345), in_words(23_400_000_000)
    ('0 bytes', '2.3 kB', '23.4 GB')
    """
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} bytes"


def free(folder: Path) -> int:
    """Return how many bytes are free on the disk that a folder lies on, or would lie on."""
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())


def taken(path: Path) -> int:
    """Return how many bytes the disk gets back if a file is deleted: none, if it has other names, too."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return 0
    return state.st_size if state.st_nlink == 1 else 0


def require(what: str, folder: Path, size: int) -> None:
    """Raise EarmarkError, with both figures, if a folder's disk has less than ``size`` bytes left.

    what: what would be written, for the error.
    """
    if size > (left := free(folder)):
        raise EarmarkError(
            f"{what}: {in_words(size)} are needed in {folder}, {in_words(left)} are free there: nothing was begun; "
            "`earmark clean --dry-run` says what can be freed"
        )
