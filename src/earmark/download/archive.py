"""Unpack a zip that came in parts, safely: everything is checked before it is written, and a stopped run can go on."""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeVar

from earmark.errors import EarmarkError, reason
from earmark.progress import bar

MAX_RATIO = 100  # of unpacked to packed size; MP3s hardly shrink at all
BLOCK = 1 << 20
ENCRYPTED = 0x1  # a bit of a member's flags
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
P = TypeVar("P", bound=PurePath)


class ArchiveError(EarmarkError):
    """An archive that cannot or must not be unpacked; the text names the file and the reason."""


class Joined(io.RawIOBase):
    """A file that reads several files one after the other, without a copy."""

    def __init__(self, parts: Sequence[Path]) -> None:
        super().__init__()
        self._files = [part.open("rb") for part in parts]
        sizes = [part.stat().st_size for part in parts]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._place = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that a place in it can be gone to."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the whole. Return it. Raises OSError if it is before the beginning."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}[whence]
        if base + offset < 0:
            raise OSError(f"cannot seek to {base + offset}")
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """Return the place in the whole."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the current part goes. Return the number of bytes read."""
        number = bisect.bisect_right(self._starts, self._place) - 1
        if number >= len(self._files):
            return 0
        file = self._files[number]
        file.seek(self._place - self._starts[number])
        got = file.readinto(buffer)
        self._place += got
        return got

    def close(self) -> None:
        """Close all parts."""
        for file in self._files:
            file.close()
        super().close()


def parts_of(first: Path) -> list[Path]:
    """Return all parts of an archive in order. first: the path of the first part, ``x.zip.001``.

    Raises ArchiveError if there is no part, or if a part before the last is missing.
    """
    numbered = {int(p.suffix[1:]): p for p in first.parent.glob(f"{first.stem}.*") if p.suffix[1:].isdigit()}
    if not numbered:
        raise ArchiveError(f"{first} does not exist")
    missing = sorted(set(range(1, max(numbered) + 1)) - set(numbered))
    if missing:
        raise ArchiveError(f"{first.parent}: {first.stem}.{missing[0]:03d} is missing, {len(numbered)} parts are there")
    return [numbered[number] for number in sorted(numbered)]


def unpack(parts: Sequence[Path], target: Path) -> dict[str, int]:
    """Unpack a zip in one or more parts into the folder ``target``. Return the numbers of files written and kept.

    Nothing is written before every name and size has been checked. A file that is there with the right size and CRC
    is kept. The others are written beside their place and renamed, so that a second run goes on if the first stopped.

    Raises ArchiveError if the zip is damaged, encrypted or compressed by an unknown method, if a file would lie outside
    ``target``, is a link, occurs twice, has too long a name or is suspiciously small when packed, or if the disk is
    full.
    """
    name = f"{parts[0]}" + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
    with (
        _damage_explained(name),
        Joined(parts) as whole,
        zipfile.ZipFile(io.BufferedReader(whole, BLOCK)) as archive,
    ):
        members = [member for member in archive.infolist() if not member.is_dir()]
        seen: set[PurePosixPath] = set()
        for member in members:
            _require_safe(member, name)
            path = PurePosixPath(member.filename)
            if path in seen:
                raise ArchiveError(f"{name}: {str(path)!r} is in it twice; nothing was unpacked")
            seen.add(path)
            _require_no_link(member, target, name)
        if in_the_way := sorted(str(path) for path in map(_unfinished, seen) if path in seen):
            raise ArchiveError(
                f"{name}: {in_the_way[0]!r} is in it, where that without .part would be written first; "
                "nothing was unpacked, unpack it with another tool"
            )
        target.mkdir(parents=True, exist_ok=True)
        wanted = [m for m in members if not _is_there(m, target)]
        _require_space(wanted, target, name)
        with bar(len(members), f"unpack {parts[0].stem}", "file") as progress:
            progress.update(len(members) - len(wanted))
            for member in wanted:
                _write(archive, member, target)
                progress.update()
    os.sync()  # once, and not 26,000 times: a second run would find by their CRCs what a power cut has taken
    return {"written": len(wanted), "kept": len(members) - len(wanted)}


@contextlib.contextmanager
def _damage_explained(name: str) -> Iterator[None]:
    """Raise ArchiveError in place of what is raised on damaged bytes, and of what the system refuses."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, UnicodeDecodeError) as error:
        raise ArchiveError(
            f"{name}: {error or 'it ends too early'}; a part is missing, cut short or damaged: fetch it again"
        ) from None
    except (NotImplementedError, RuntimeError) as error:  # a later version of the format, or one of several disks
        raise ArchiveError(
            f"{name}: {error}; this archive cannot be unpacked here, unpack it with another tool"
        ) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise ArchiveError(f"{name}: {os.fsdecode(error.filename)}: {reason(error)}") from None


def _require_safe(member: zipfile.ZipInfo, name: str) -> None:
    """Raise ArchiveError if a member cannot be read, lies outside the target, is a link, or would grow too much."""
    if member.flag_bits & ENCRYPTED:
        raise ArchiveError(f"{name}: {member.filename!r} is encrypted and needs a password; nothing was unpacked")
    if member.compress_type not in METHODS:
        raise ArchiveError(
            f"{name}: {member.filename!r} is compressed by method {member.compress_type}, known are "
            f"{', '.join(map(str, METHODS))}; nothing was unpacked, unpack it with another tool"
        )
    path = PurePosixPath(member.filename)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in path.parts[0]:
        raise ArchiveError(f"{name}: {member.filename!r} would leave the target folder; nothing was unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ArchiveError(f"{name}: {member.filename!r} is a link; nothing was unpacked")
    if member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise ArchiveError(
            f"{name}: {member.filename!r} would unpack to {member.file_size} bytes from {member.compress_size}, over "
            f"the limit of {MAX_RATIO} times; nothing was unpacked"
        )


def _require_no_link(member: zipfile.ZipInfo, target: Path, name: str) -> None:
    """Raise ArchiveError if a link that lies in the target already would lead a member to another place."""
    path = target / member.filename
    for place in (path, *path.parents[: len(PurePosixPath(member.filename).parts) - 1]):
        if place.is_symlink():
            raise ArchiveError(
                f"{name}: {member.filename!r} would be written through the link {place} -> {place.readlink()}; nothing "
                "was unpacked: remove the link, or name another target"
            )


def _require_space(members: Sequence[zipfile.ZipInfo], target: Path, name: str) -> None:
    wanted, free = sum(member.file_size for member in members), shutil.disk_usage(target).free
    if wanted > free:
        raise ArchiveError(f"{name}: {wanted} bytes are to be unpacked, {target} has room for {free}")


def _is_there(member: zipfile.ZipInfo, target: Path) -> bool:
    path = target / member.filename
    if not path.is_file() or path.stat().st_size != member.file_size:
        return False
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc == member.CRC


def _unfinished(path: P) -> P:
    """Return the place beside a file where it is written."""
    return path.with_name(path.name + ".part")


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one file beside its place and rename it; zipfile checks its CRC while reading.

    Raises BadZipFile if its bytes are damaged, and ArchiveError if it cannot be written.
    """
    path = target / member.filename
    temporary = _unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # through a link there somebody else's file would be written
        with archive.open(member) as source, temporary.open("wb") as file:
            shutil.copyfileobj(source, file, BLOCK)
        temporary.replace(path)
    except OSError as error:
        if error.errno is None:  # so bz2 reports damaged bytes
            raise zipfile.BadZipFile(f"{member.filename!r}: {error}") from None
        raise ArchiveError(
            f"{path}: {reason(error)}; what was unpacked stays, and a second run goes on after it"
        ) from None
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise zipfile.BadZipFile(f"{member.filename!r}: {error or 'it ends too early'}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
