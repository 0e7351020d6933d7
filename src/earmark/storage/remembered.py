"""Digests of the code that are remembered from one process to the next: to make one takes most of a second.

A digest depends on the files of the package alone. As long as all their bytes are what they were, it is read from a
small file in the user's cache, one for each place where the package lies; who deletes it loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import platformdirs

from earmark.errors import EarmarkError
from earmark.files import read_json, write_json
from earmark.storage import provenance


def digest(consumer: str) -> str:
    """Return what ``provenance.digest`` returns, and raise what it raises."""
    file, state = _file(), _state()
    try:
        content = read_json(file)
        known = content["digests"] if content["state"] == state else {}
        if isinstance(found := known.get(consumer), str):
            return found
    except (EarmarkError, KeyError, AttributeError):  # there is none yet, or it is something else
        known = {}
    known = known | {consumer: provenance.digest(consumer)}
    with contextlib.suppress(EarmarkError):  # a home that cannot be written
        write_json(file, {"state": state, "digests": known})
    return str(known[consumer])


def _file() -> Path:
    """Return the file of this package, wherever it is installed."""
    place = hashlib.sha256(str(provenance.PACKAGE.resolve()).encode()).hexdigest()
    return Path(platformdirs.user_cache_dir("earmark")) / "digests" / f"{place[:16]}.json"


def _state() -> str:
    """Return the SHA-256 of the bytes and names of all files of the package."""
    found = hashlib.sha256()
    for file in sorted(provenance.PACKAGE.rglob("*")):
        if file.suffix != ".pyc" and file.is_file():
            content = file.read_bytes()
            found.update(f"{file.relative_to(provenance.PACKAGE).as_posix()} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()
