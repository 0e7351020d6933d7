"""A playlist per tag: extended M3U in UTF-8, with the files for which the tag is predicted, the most probable first."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.files import write_text
from earmark.tagging.provenance import Written
from earmark.travel.bundle import version

SUFFIX = ".m3u8"
LONGEST = 200  # bytes of a name: a file system takes 255
_MARK = "# written by earmark "


def write(folder: Path, found: Sequence[tuple[str, Written]]) -> list[str]:
    """Write the playlists of some files, by their entries, into a folder, and return what was done.

    Raises EarmarkError if a playlist of that name is there that earmark did not write.
    """
    by_tag: dict[str, list[tuple[float, str]]] = {}
    model = next((tags.model for _, tags in found), "")
    for name, tags in found:
        for row in tags.tags:
            by_tag.setdefault(row["tag"], []).append((-row["probability"], name))
    done, taken = [], set[str]()
    for tag, rows in sorted(by_tag.items()):
        target = folder / f"{_free(_name(tag), taken)}{SUFFIX}"
        if target.exists() and not _ours(target):
            raise EarmarkError(f"{target} is not overwritten: earmark did not write it")
        lines = ["#EXTM3U", f"{_MARK}{version()}, model {_line(model)}", f"#PLAYLIST:{_line(tag)}"]
        lines += [name for _, name in sorted(rows)]
        write_text(target, "\n".join(lines) + "\n")
        done.append(f"{target}: {len(rows)} files")
    return done


def undo(folder: Path) -> list[str]:
    """Delete the playlists in a folder that ``write`` wrote, and return what was done."""
    ours = [path for path in sorted(folder.glob(f"*{SUFFIX}")) if _ours(path)]
    for path in ours:
        path.unlink()
    return [f"{path}: deleted" for path in ours]


def entry(folder: Path, file: Path) -> str:
    """Return a file as a playlist in a folder names it: relative, and never a comment.

    Raises EarmarkError if no playlist can name it: for a line break in its name, or because it is not UTF-8.
    """
    name = os.path.relpath(file.resolve(), folder.resolve())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise EarmarkError(f"{str(file)!r} cannot be in a playlist: its name is not UTF-8; rename it") from None
    if "\n" in name or "\r" in name:
        raise EarmarkError(f"{str(file)!r} cannot be in a playlist: its name has a line break; rename it")
    return f"./{name}" if name.startswith("#") else name


def _name(tag: str) -> str:
    """Return a file name for a tag, on any system."""
    name = re.sub(r"[^\w\- ]", "_", tag).strip()
    while len(name.encode()) > LONGEST:
        name = name[:-1]
    return name or "_"


def _free(name: str, taken: set[str]) -> str:
    """Return a name, with a number if another tag has it, be it in other letters' case; it is taken then."""
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{name}-{number}", number + 1
    taken.add(free.casefold())
    return free


def _line(text: str) -> str:
    return " ".join(text.split())


def _ours(path: Path) -> bool:
    try:
        # a pipe would keep who reads it waiting
        return path.is_file() and _MARK in path.read_text(encoding="utf-8")[:200]
    except (OSError, ValueError):
        return False
