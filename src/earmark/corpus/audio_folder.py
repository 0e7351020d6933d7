"""What lies in the folder of the music, and which file there a path of a table means."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from earmark.corpus.manifest import CorpusError
from earmark.corpus.notes import examples, note

AUDIO = (  # the suffixes of what libsndfile decodes
    ".mp3", ".wav", ".flac", ".ogg", ".au", ".aif", ".aifc", ".aiff", ".bwf", ".caf", ".mp2", ".oga", ".opus", ".rf64",
    ".snd", ".w64", ".wave",
)  # fmt: skip
UNREAD = (  # music, too, of formats that are not decoded
    ".3gp", ".aac", ".ac3", ".alac", ".amr", ".ape", ".dff", ".dsf", ".m4a", ".m4b", ".mka", ".mp4", ".mpc", ".ra",
    ".shn", ".spx", ".tta", ".webm", ".wma", ".wv",
)  # fmt: skip
_OF_SYSTEMS = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information")
SHOWN = 3  # examples
LONGEST = 255  # bytes of a name, in the file systems of Linux, macOS and Windows


def of_a_system(path: str) -> bool:
    """Tell whether a file is one of an operating system's: it, or a folder above it, has a name that says so.

    Such are names that begin with a dot: macOS writes "._x.mp3" beside x.mp3 on disks of other systems, and what is
    thrown away lies in ".Trash-1000".

    >>> of_a_system("rock/._one.mp3"), of_a_system("rock/one.mp3")
    (True, False)
    """
    return any(part.startswith(".") or part.lower() in _OF_SYSTEMS for part in PurePosixPath(path).parts)


def safe(path: str, where: str) -> str:
    """Return ``path`` in its simplest form. where: file and line, for errors.

    Raises CorpusError if the path is empty or absolute, leaves the audio folder, has backslashes or line ends, is not
    UTF-8, or has a part that is longer than a file system takes.

    >>> safe("rock//./one.mp3", "music.csv, line 2")
    'rock/one.mp3'
    """
    parts = PurePosixPath(path)
    if any("\ud800" <= letter <= "\udfff" for letter in path):
        raise CorpusError(f"{where}: the name {path!r} is not UTF-8; rename the file (`convmv` does so for many)")
    if re.search(r"[\r\n]", path):
        raise CorpusError(f"{where}: the name {path!r} has a line end, which no table holds safely; rename the file")
    if "\\" in path:
        forward = path.replace("\\", "/")
        raise CorpusError(f"{where}: the path must have forward slashes, as {forward!r}, got {path!r}")
    if not parts.parts or parts.is_absolute() or ".." in parts.parts or "\0" in path:
        raise CorpusError(f"{where}: the path must lie inside the audio folder, got {path!r}")
    if (longest := max(len(part.encode()) for part in parts.parts)) > LONGEST:
        raise CorpusError(f"{where}: a name must be at most {LONGEST} bytes long, got {longest} in {path[:60]!r}...")
    return parts.as_posix()


@dataclass
class AudioFolder:
    """All files below a folder by their paths, which are relative and have forward slashes.

    files: sorted, folder by folder. of_systems: how many files and folders of operating systems were passed over.
    unreadable: folders that cannot be entered, with the reason. loops: links to a folder that was entered already.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    of_systems: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    loops: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path) -> AudioFolder:
        """Walk through a folder and those below it, links too, each once; one that is absent has no files.

        What links lead to is entered last, so that a folder is found by its own name if it has one here.
        """
        found = cls(root)
        entered: set[tuple[int, int]] = set()
        starts = [str(root)]

        def unreadable(error: OSError) -> None:
            if error.filename is not None and Path(error.filename) != root:
                found.unreadable[_relative(error.filename, root)] = error.strerror or str(error)

        walks = (step for start in starts for step in os.walk(start, onerror=unreadable))
        for place, folders, files in walks:
            state = os.stat(place)  # noqa: PTH116 - as os.walk names it
            if (state.st_dev, state.st_ino) in entered:
                folders.clear()
                found.loops.append(_relative(place, root))
                continue
            entered.add((state.st_dev, state.st_ino))
            here = "" if Path(place) == root else _relative(place, root) + "/"
            kept = [name for name in files if not of_a_system(name)]
            inner = sorted(name for name in folders if not of_a_system(name))
            found.of_systems += len(files) - len(kept) + len(folders) - len(inner)
            links = {name for name in inner if os.path.islink(os.path.join(place, name))}  # noqa: PTH114, PTH118
            folders[:] = [name for name in inner if name not in links]
            starts += [os.path.join(place, name) for name in inner if name in links]  # noqa: PTH118
            found.files += [here + name for name in kept]
        found.files.sort(key=lambda path: path.split("/"))
        return found

    def tell(self) -> None:
        """Note the folders that could not be entered, and the links to folders that were entered already."""
        if self.unreadable:
            told = "; ".join(f"{path!r}: {why}" for path, why in list(self.unreadable.items())[:SHOWN])
            more = f" and {len(self.unreadable) - SHOWN} more" if len(self.unreadable) > SHOWN else ""
            note(f"warning: folders below {self.root} cannot be entered: {told}{more}")
        if self.loops:
            note(
                f"{len(self.loops)} links below {self.root} lead to folders that are there, and are not followed: "
                f"{examples(self.loops)}"
            )

    @property
    def audio(self) -> list[str]:
        """Return the files that have a suffix of AUDIO."""
        return [path for path in self.files if PurePosixPath(path).suffix.lower() in AUDIO]

    def find(self, path: str) -> tuple[str, str]:
        """Return the file that a path means, and how it differs from the path; two empty texts if there is none.

        A path with backslashes may mean folders, and a letter with an accent may be one character or two.
        """
        for meant, how in ((path, ""), (path.replace("\\", "/"), "have backslashes for slashes")):
            plain = PurePosixPath(meant).as_posix()
            if plain in self:
                return plain, how
            alike = self._in_one_form.get(_one_form(plain), [])
            if len(alike) == 1:
                return alike[0], "; ".join(filter(None, [how, "have letters in another normal form of Unicode"]))
        return "", ""

    def hint(self, path: str) -> str:
        """Return what a path that means no file may be meant for, or nothing."""
        forward = path.replace("\\", "/")
        pure = PurePosixPath(forward)
        if pure.is_relative_to(self.root) and self.find(inner := pure.relative_to(self.root).as_posix())[0]:
            return f"{inner!r} is there: paths begin below {self.root}"
        before = next((part for mark in ";,\t" if (part := path.partition(mark)[0]) != path), "")
        if before in self._known:
            return f"{before!r} is there: the cells are separated by another sign"
        for why, key in _NEAR.items():
            if (near := self._near[why].get(key(forward))) is not None:
                return f"{near!r} is there: {why}"
        return ""

    def __contains__(self, path: str) -> bool:
        return path in self._known or self._opens(path)

    def _opens(self, path: str) -> bool:
        """Tell whether there is a file of that name for the file system, which may not tell letters' cases apart."""
        try:
            return bool(path) and not of_a_system(path) and (self.root / path).is_file()
        except (OSError, ValueError):  # too long, or no name at all
            return False

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def _in_one_form(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.files:
            found.setdefault(_one_form(path), []).append(path)
        return found

    @cached_property
    def _near(self) -> dict[str, dict[str, str]]:
        return {why: {key(path): path for path in reversed(self.audio)} for why, key in _NEAR.items()}


def _relative(place: str, root: Path) -> str:
    return Path(place).relative_to(root).as_posix()


def _one_form(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _as_latin(path: str) -> str:
    """Return a name as a table of the same encoding gives it; Windows and old archives wrote Latin-1."""
    return os.fsencode(path).decode("latin-1") if any("\ud800" <= letter <= "\udfff" for letter in path) else path


def _folded(path: str) -> str:
    return _one_form(path).casefold()


def _stem(path: str) -> str:
    return _folded(PurePosixPath(path).with_suffix("").as_posix())


_NEAR: dict[str, Callable[[str], str]] = {  # what may be wrong with a path, and what is the same of both then
    "its letters' case differs": _folded,
    "its name on the disk is not UTF-8": _as_latin,
    "its ending differs": lambda path: _stem(path) if PurePosixPath(path).name else "",
    "it lies in another folder": lambda path: _folded(PurePosixPath(path).name),
    "its folder and its ending differ": lambda path: _folded(PurePosixPath(path).stem),
}


@dataclass
class Matches:
    """How the paths of a table fit the files below the audio folder; ``tell`` says it when all are read.

    table: its name, for the reader. folder: None if there is no audio folder; the table is then read as it stands.
    """

    table: str
    folder: AudioFolder | None
    matching: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    of_systems: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were read, those of files of operating systems included."""
        return self.matching + len(self.lost) + len(self.of_systems)

    def read(self, path: str, where: str) -> tuple[str, str] | None:
        """Return the path in its simplest form and that of the file that it means, the same if none is there.

        Return None for a file of an operating system, which is no music.

        Raises CorpusError, with the text ``where``, if no file can have such a path (``safe``).
        """
        found, how = ("", "") if self.folder is None else self.folder.find(path)
        given = path
        if self.folder is not None and path not in self.folder:
            path = path.replace("\\", "/")
        simplest = self._safe(path, where)
        if of_a_system(simplest):
            self.of_systems.append(f"{where}: {given!r}")
            return None
        if found:
            self.matching += 1
        else:
            self.lost.append((given, where))
        if how:
            self.changed.setdefault(how, []).append(given)
        return simplest, safe(found, where) if found else simplest

    def _safe(self, path: str, where: str) -> str:
        try:
            return safe(path, where)
        except CorpusError as error:
            hint = "" if self.folder is None else self.folder.hint(path)
            raise CorpusError(f"{error}; {hint}" if hint else str(error)) from None

    def tell(self) -> None:
        """Note how many rows match and, with examples, which do not. Raises CorpusError if none does."""
        if self.of_systems:
            told = f"{self.of_systems[0]}" + (f" and {more} more" if (more := len(self.of_systems) - 1) else "")
            note(
                f"warning: {self.table}: {len(self.of_systems)} of {self.rows} rows name files of an operating system "
                f"and are left out: {told}"
            )
        for how, paths in self.changed.items():
            note(f"{self.table}: {len(paths)} of {self.rows} paths {how}; their files are found: {examples(paths, 1)}")
        if self.folder is None or not self.rows:
            return
        if not self.matching and self.lost:
            raise CorpusError(
                f"{self.table}: none of its {len(self.lost)} paths is below {self.folder.root}, {self._first()}"
            )
        note(f"{self.table}: {self.matching} of {self.rows} rows match a file")
        if self.lost:
            note(f"warning: {self.table}: {len(self.lost)} rows match no file: {'; '.join(self._examples())}")

    def _first(self) -> str:
        assert self.folder is not None
        path, there = self.lost[0][0], self.folder.audio
        if not there:
            return f"the first being {path!r}: no music is there"
        hint = self.folder.hint(path) or f"{there[0]!r} is there"
        return f"the first being {path!r} where {hint}; do the endings and the folders agree?"

    def _examples(self) -> Iterator[str]:
        assert self.folder is not None
        for path, where in self.lost[:SHOWN]:
            hint = self.folder.hint(path)
            yield f"{where}: {path!r}" + (f" ({hint})" if hint else "")
        if len(self.lost) > SHOWN:
            yield f"and {len(self.lost) - SHOWN} more"
