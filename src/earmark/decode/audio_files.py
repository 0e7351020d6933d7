"""The audio files that a command names: files as they are, folders with all that is in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earmark.corpus.rows import AUDIO
from earmark.errors import reason


@dataclass
class Listing:
    """What was found.

    files: by their names, which are their paths as they were given, sorted within a folder. unread: folders that cannot
    be read, with the reason. others: how many files of folders are no music by their suffixes.
    """

    files: dict[str, Path] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


def listed(named: Sequence[Path]) -> Listing:
    """Return the files that are named, whatever they are called, and the audio files of folders and of those below.

    What begins with a dot in a folder is no music: macOS writes "._x.mp3" beside x.mp3 on disks of other systems.
    """
    found = Listing()
    for path in named:
        if path.is_dir():
            found.files |= {file: Path(file) for file in sorted(_below(path, found))}
        else:
            found.files[str(path)] = path
    return found


def _below(folder: Path, found: Listing) -> Iterator[str]:
    """Yield the audio files of a folder and of those below it, each folder once, and note the rest in ``found``."""

    def unreadable(error: OSError) -> None:
        found.unread[os.fsdecode(error.filename)] = f"not readable: {reason(error)}"

    entered: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        state = Path(place).stat()
        if (state.st_dev, state.st_ino) in entered:  # a link that leads back, or to what was there already
            folders.clear()
            continue
        entered.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            suffix = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if suffix in AUDIO:
                yield str(Path(place) / name)
            else:
                found.others[suffix or "no suffix"] += 1
