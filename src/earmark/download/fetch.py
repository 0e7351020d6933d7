"""Fetch large files over HTTP: a broken download is tried again and resumed, and checksums are kept."""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from earmark.errors import EarmarkError, reason
from earmark.files import put_in_place, write_text
from earmark.progress import bar

CHECKSUMS = "SHA256SUMS"  # as `sha256sum` writes and checks it
BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
FINAL = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EISDIR, errno.ENOTDIR)  # another try cannot help


class DownloadError(EarmarkError):
    """A file that could not be fetched; the text names the address and the reason."""


@dataclass(frozen=True)
class Patience:
    """When to give up.

    attempts: how many tries in a row may bring no byte. wait: seconds before the second try; they double each time.
    """

    attempts: int = 6
    wait: float = 1.0


class _AgainError(Exception):
    """A failure that may not occur at the next try."""


def fetch(url: str, target: Path, patience: Patience = Patience()) -> Path:
    """Download ``url`` to ``target`` unless it is there already. Return ``target``.

    What has arrived stays in ``target``.part, and a range request continues it, in this call or the next. The first
    complete download is noted in SHA256SUMS beside the file; every later copy must have that checksum.

    Raises DownloadError if the address is wrong, if the disk is too small, if the checksum differs, or if nothing
    arrived in ``patience.attempts`` tries.
    """
    if target.is_file():
        _verify(target, target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _continue(url, part)
            break
        except (_AgainError, OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in FINAL:
                raise DownloadError(
                    f"{part}: {reason(error)}; {_size(part)} bytes are kept there, run the command again to go on"
                ) from None
            failures = 0 if _size(part) > before else failures + 1
            if failures >= patience.attempts:
                raise DownloadError(
                    f"{url}: {error} ({failures} tries without progress); {_size(part)} bytes are kept in {part}, "
                    "run the command again to go on"
                ) from None
            time.sleep(patience.wait * 2 ** max(failures - 1, 0))
    _verify(part, target)
    put_in_place(part, target)
    _tag(part).unlink(missing_ok=True)
    return target


def _continue(url: str, part: Path) -> None:
    """Ask for the bytes that ``part`` lacks and append them.

    Raises _AgainError, OSError or HTTPException if another try may help, and DownloadError if none can.
    """
    for place in (part, _tag(part)):
        if place.is_symlink() or not place.is_file():  # it would be written through, or wait for a reader for ever
            place.unlink(missing_ok=True)
    have = _size(part)
    try:
        request = urllib.request.Request(url)
    except ValueError as error:
        raise DownloadError(f"--base-url: {error}; it begins with https:// or http://") from None
    if have:
        request.add_header("Range", f"bytes={have}-")
        if _tag(part).is_file():  # bytes of another version of the file must not be appended
            request.add_header("If-Range", _tag(part).read_text())
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and _total(error.headers) == have:
            return  # nothing is missing
        if error.code == 416:
            part.unlink()
            raise _AgainError(f"the server has fewer bytes than the {have} that arrived before") from None
        if error.code >= 500 or error.code in (408, 429):
            raise _AgainError(f"the server answered {error.code} {error.reason}") from None
        raise DownloadError(f"{url}: the server answered {error.code} {error.reason}; is the address right?") from None
    except urllib.error.URLError as error:
        raise _AgainError(str(error.reason)) from None
    with response:
        resumed = response.status == 206
        total = _total(response.headers) if resumed else _length(response.headers)
        have = have if resumed else 0
        if total is not None:
            _require_space(part.parent, total - have, url)
        if tag := response.headers.get("ETag") or response.headers.get("Last-Modified"):
            _tag(part).write_text(tag)
        with part.open("ab" if resumed else "wb") as file, bar(total or 0, part.stem, "B") as progress:
            progress.update(have)
            while block := response.read(BLOCK):
                file.write(block)
                progress.update(len(block))
    if total is not None and _size(part) < total:
        raise _AgainError(f"the connection broke off at {_size(part)} of {total} bytes")


def _verify(file: Path, target: Path) -> None:
    """Compare ``file`` with the checksum that is noted for ``target``; if there is none, note it.

    Raises DownloadError if they differ.
    """
    sums = target.parent / CHECKSUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    noted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if noted.setdefault(target.name, found) != found:
        raise DownloadError(
            f"{file} has the SHA-256 {found}, {sums} says {noted[target.name]}: a damaged or another file; delete it "
            "and run the command again, or delete the line if the new one is right"
        )
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(noted.items()))
    write_text(sums, text)


def _require_space(folder: Path, wanted: int, url: str) -> None:
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise DownloadError(f"{url}: {wanted} bytes are to come, {folder} has room for {free}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _tag(part: Path) -> Path:
    """Return the path of the file that notes the version of an unfinished download."""
    return part.with_name(part.name + ".tag")


def _length(headers: Message) -> int | None:
    """Return the size of the whole answer in bytes, from Content-Length; None if the server does not say."""
    value = headers.get("Content-Length")
    return int(value) if value is not None and value.isdigit() else None


def _total(headers: Message) -> int | None:
    """Return the size of the whole file in bytes, from Content-Range; None if the server does not say."""
    value = (headers.get("Content-Range") or "").rpartition("/")[2]
    return int(value) if value.isdigit() else None
