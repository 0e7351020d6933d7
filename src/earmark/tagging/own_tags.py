"""Tags inside an audio file: ID3 of MP3, WAV and AIFF, Vorbis comments of FLAC, Ogg and Opus, atoms of MP4.

They stand in fields of earmark's own (``EARMARK_TAGS`` and others), so that no field of a person is touched: genre,
mood and comment stay as they are. mutagen, which writes them, is under the GPL and so an extra.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError, reason
from earmark.files import put_in_place
from earmark.tagging.provenance import Written
from earmark.travel.bundle import version

FIELDS = ("EARMARK_TAGS", "EARMARK_MODEL", "EARMARK_VERSION", "EARMARK_DETAILS")
_ATOM = "----:com.earmark:"
_EMPTY = "EARMARK_NO_TAGS_BEFORE"  # a file that had no tags at all has none again after `undo`


def write(file: Path, tags: Written) -> str:
    """Write the tags of a file into it, and return what was done.

    Raises EarmarkError if mutagen is not installed, or if the file has no tags that it knows or cannot be written.
    """
    values = {
        "EARMARK_TAGS": "; ".join(tags.names),
        "EARMARK_MODEL": tags.model,
        "EARMARK_VERSION": version(),
        "EARMARK_DETAILS": json.dumps(list(tags.tags)),
    }
    with _opened(file) as audio:
        if audio.tags is None:
            audio.add_tags()
            values[_EMPTY] = "1"
        for name, value in values.items():
            _set(audio, name, value)
    return f"{file}: {', '.join(tags.names) or 'no tag is predicted'}"


def undo(file: Path) -> str | None:
    """Take out what ``write`` wrote, and return what was done; None if there is nothing."""
    with _opened(file) as audio:
        if audio.tags is None or not any(_get(audio, name) is not None for name in FIELDS):
            audio.untouched = True
            return None
        was_empty = _get(audio, _EMPTY) is not None
        for name in (*FIELDS, _EMPTY):
            _delete(audio, name)
        if was_empty and not _left(audio):
            audio.delete()
            audio.emptied = True
    return f"{file}: earmark's tags are taken out"


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a copy of a file, and put it into the file's place when its tags have been changed."""
    try:
        import mutagen
    except ImportError:
        raise EarmarkError("tags inside a file are written by mutagen: pip install 'earmark[tags]'") from None
    copy = file.with_name(f".{file.name}.earmark")
    try:
        before = file.stat()
        if not before.st_mode & 0o200:
            raise EarmarkError(f"{file} cannot be changed: it is read-only")
        copy.unlink(missing_ok=True)  # through a link there somebody else's file would be written
        shutil.copy2(file, copy)
        audio = mutagen.File(copy)
        if audio is None:
            raise EarmarkError(f"{file} has no tags that can be written: its format has none, or is unknown")
        yield audio
        if getattr(audio, "untouched", False):
            return
        if not getattr(audio, "emptied", False):
            audio.save()
        put_in_place(copy, file)
    except mutagen.MutagenError as error:
        raise EarmarkError(f"{file}: its tags cannot be read or written ({error})") from None
    except OSError as error:
        raise EarmarkError(f"{file} cannot be changed: {reason(error)}") from None
    finally:
        with suppress(OSError):
            copy.unlink(missing_ok=True)


def _is_id3(audio: Any) -> bool:
    return type(audio.tags).__module__.startswith("mutagen.id3") or type(audio.tags).__name__.endswith("ID3")


def _is_mp4(audio: Any) -> bool:
    return type(audio.tags).__name__ == "MP4Tags"


def _set(audio: Any, name: str, value: str) -> None:
    if _is_id3(audio):
        from mutagen.id3 import TXXX

        audio.tags.setall(f"TXXX:{name}", [TXXX(encoding=3, desc=name, text=[value])])  # type: ignore[no-untyped-call]
    elif _is_mp4(audio):
        audio.tags[_ATOM + name] = [value.encode()]
    else:
        audio.tags[name] = [value]


def _get(audio: Any, name: str) -> Any:
    if _is_id3(audio):
        return (audio.tags.getall(f"TXXX:{name}") or [None])[0]
    key = _ATOM + name if _is_mp4(audio) else name
    return audio.tags.get(key)


def _delete(audio: Any, name: str) -> None:
    if _is_id3(audio):
        audio.tags.delall(f"TXXX:{name}")
        return
    key = _ATOM + name if _is_mp4(audio) else name
    if key in audio.tags:
        del audio.tags[key]


def _left(audio: Any) -> bool:
    return len(audio.tags) > 0
