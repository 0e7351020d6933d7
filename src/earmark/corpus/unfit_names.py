"""Names, links and files that stop DVC, or that another system cannot hold, named before anything stumbles over them.

DVC takes the checksum of every file below the folders that params.yaml names, of those of operating systems, too, and
its own errors do not always name the file: a name that is not UTF-8 ends in a UnicodeEncodeError, a pipe in no end.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from earmark.corpus.notes import examples

NOT_UTF8 = "names that are not UTF-8, which DVC cannot write down"
LINE_END = "names with a line end, which no table holds safely"
DANGLING = "links to what is not there, which end DVC"
PIPE = "pipes, sockets or devices, on which DVC waits for ever"
UNREADABLE = "files or folders that this user may not read"
CURES = {
    NOT_UTF8: "rename them (`convmv -r -f latin1 -t utf8 --notest` does so for a whole folder)",
    LINE_END: "rename them",
    DANGLING: "remove them, or bring back what they lead to",
    PIPE: "move them out of the folder",
    UNREADABLE: "see their owner and mode (`ls -l`)",
}
_RESERVED = re.compile(r'[<>:"|?*\\]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)', re.IGNORECASE)


@dataclass
class UnfitNames:
    """What was found below some folders. stops: paths by the text of CURES; remarks: by what is odd about them."""

    stops: dict[str, list[str]] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def below(cls, folders: Iterable[Path]) -> UnfitNames:
        """Look at all names below folders; what is no folder has none."""
        found = cls()
        for folder in filter(Path.is_dir, folders):
            for path, unreadable in _walk(folder):
                found._look(path, unreadable)
        return found

    def stopping(self) -> list[str]:
        """Return a line for each kind of thing that stops the pipeline: how many, examples, and what to do."""
        return [
            f"{what} ({len(paths)}): {examples([_shown(path) for path in paths])}; {CURES.get(what, 'look at them')}"
            for what, paths in self.stops.items()
        ]

    def remarking(self) -> list[str]:
        """Return a line for each kind of name that works here, but not everywhere."""
        return [f"{what} ({len(paths)}): {examples(paths)}" for what, paths in self.remarks.items()]

    def _look(self, path: str, unreadable: bool) -> None:
        name = Path(path).name
        if not _is_text(name):
            self._stop(NOT_UTF8, path)
        if "\n" in name or "\r" in name:
            self._stop(LINE_END, path)
        elif any(unicodedata.category(letter) == "Cc" for letter in name):
            self.remarks.setdefault("names with control characters, which terminals do not show", []).append(path)
        if _RESERVED.search(name):
            self.remarks.setdefault("names that Windows cannot hold", []).append(path)
        if unreadable:
            self._stop(UNREADABLE, path)
            return
        try:
            mode = Path(path).stat().st_mode
        except OSError as error:
            self._stop(DANGLING if Path(path).is_symlink() else f"files that cannot be read ({error.strerror})", path)
            return
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            self._stop(PIPE, path)
        elif not os.access(path, os.R_OK):
            self._stop(UNREADABLE, path)

    def _stop(self, what: str, path: str) -> None:
        self.stops.setdefault(what, []).append(path)


def _walk(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield every path below a folder, and whether it is a folder that cannot be entered; links are followed once."""
    entered: set[tuple[int, int]] = set()
    closed: list[str] = []
    for place, folders, files in os.walk(
        folder, onerror=lambda e: closed.append(os.fsdecode(e.filename)), followlinks=True
    ):
        state = Path(place).stat()
        if (state.st_dev, state.st_ino) in entered:
            folders.clear()
            continue
        entered.add((state.st_dev, state.st_ino))
        folders.sort()
        yield from ((os.path.join(place, name), False) for name in sorted([*folders, *files]))  # noqa: PTH118
    yield from ((place, True) for place in closed if Path(place) != folder)


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _shown(path: str) -> str:
    """Return a path, and after it where a link leads that is one."""
    return f"{path} -> {Path(path).readlink()}" if Path(path).is_symlink() else path


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that differ in letter case, blanks or the normal form of Unicode alone.

    >>> alike(["Piano", "piano", "flute"])
    [('Piano', 'piano')]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
