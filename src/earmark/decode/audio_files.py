"""The audio files that a command names: files as they are, folders with all that is in them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from earmark.corpus.audio_folder import AUDIO, of_a_system
from earmark.errors import EarmarkError, reason

_SHOWN = 3  # names of each suffix, and suffixes


@dataclass
class Listing:
    """What was found.

    files: by their names, which are their paths as they were given, sorted within a folder. unread: folders that cannot
    be read, with the reason. others: the files of folders that are no music by their suffixes.
    """

    files: dict[str, Path] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def left_out(self) -> str:
        """Return a line that counts the files that are no music by their suffixes, with examples; empty without any."""
        names = defaultdict[str, list[str]](list)
        for path in sorted(self.others):
            names[Path(path).suffix.lower() or "no suffix"].append(Path(path).name)
        most = sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
        told = [f"{suffix} ({len(some)}: {_examples(some)})" for suffix, some in most[:_SHOWN]]
        more = sum(len(some) for _, some in most[_SHOWN:])
        told += [f"{more} of other suffixes"] if more else []
        return f"left out, for their suffixes: {', '.join(told)}" if told else ""


def _examples(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def listed(named: Sequence[Path]) -> Listing:
    """Return the files that are named, whatever they are called, and the audio files of folders and of those below.

    What begins with a dot in a folder is no music, nor is what else an operating system keeps there.

    Raises EarmarkError if there is none.
    """
    found = Listing()
    for path in named:
        if path.is_dir():
            found.files |= {file: Path(file) for file in sorted(_below(path, found))}
        else:
            found.files[str(path)] = path
    if not found.files and not found.unread:
        raise EarmarkError(
            f"{', '.join(map(str, named))}: no file there ends in {', '.join(AUDIO)}; a file that is named itself may "
            "be called anything"
        )
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
        folders[:] = sorted(name for name in folders if not of_a_system(name))
        for name in files:
            if of_a_system(name):
                continue
            path = str(Path(place) / name)
            if Path(name).suffix.lower() in AUDIO:
                yield path
            else:
                found.others.append(path)


def why_not(error: Exception) -> str:
    """Explain why a file cannot be heard; libsndfile takes UTF-8 names alone."""
    return "its name is not UTF-8: rename it" if isinstance(error, UnicodeEncodeError) else str(error)
