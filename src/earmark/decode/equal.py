"""The same audio under two names: files that are equal byte for byte, and files of which the same samples come."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from earmark.corpus.manifest import Clip
from earmark.errors import naming
from earmark.files import digest

Group = list[Clip]
MENTIONED = 5  # groups
DIGITS = 12  # of a digest of samples: two of 100,000 clips have the same one by chance once in 50,000 corpora
UNKNOWN = "-" * DIGITS  # of a clip that is rejected, or silent as many are
_PIECE = 4096  # bytes from the middle of a file, where those of one length and encoder differ


def sound(waves: NDArray[Any]) -> str:
    """Return the digest of a clip's samples as they are stored."""
    return hashlib.sha256(waves.data).hexdigest()[:DIGITS]


def groups(clips: Iterable[Clip], marks: Iterable[Hashable]) -> list[Group]:
    """Return the clips that share their mark with another one, in groups. A mark that is empty is no mark."""
    found: dict[Hashable, Group] = defaultdict(list)
    for clip, mark in zip(clips, marks, strict=True):
        if mark:
            found[mark].append(clip)
    return [group for group in found.values() if len(group) > 1]


def across(group: Group) -> bool:
    """Return whether a group has clips in several splits."""
    return len({clip.split for clip in group}) > 1


def counts(kind: str, found: Sequence[Group]) -> dict[str, int]:
    """Return how many clips have an equal, in how many groups, and how many of these are in several splits."""
    return {
        f"equal_{kind}": sum(map(len, found)),
        f"equal_{kind}_groups": len(found),
        f"equal_{kind}_groups_across_splits": sum(map(across, found)),
    }


def named(found: Sequence[Group]) -> Iterator[str]:
    """Yield a few groups in words, those in several splits first."""
    for group in sorted(found, key=lambda group: not across(group))[:MENTIONED]:
        told = " = ".join(f"{clip.path} ({clip.split})" for clip in group[:MENTIONED])
        yield told + (f" = {len(group) - MENTIONED} more" if len(group) > MENTIONED else "")


def described(found: Sequence[Group]) -> str:
    """Return in words how many clips are equal, and a few of them."""
    if not found:
        return "none"
    told = f"{sum(map(len, found))} in {len(found)} groups, {sum(map(across, found))} of them across splits: "
    rest = f"; and {len(found) - MENTIONED} more groups" if len(found) > MENTIONED else ""
    return told + "; ".join(named(found)) + rest


def compared(clips: Sequence[Clip], files: Sequence[str], sounds: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Return counts of what is equal, and warnings. files: digests of the clips' files; sounds: of their samples.

    Clips whose ``sounds`` are UNKNOWN are left out. What is equal as a file is equal as audio, too, and is counted in
    both; of such clips there is one warning.
    """
    known = [sound != UNKNOWN for sound in sounds]
    same_files = groups(clips, [file if heard else "" for file, heard in zip(files, known, strict=True)])
    same_sounds = groups(clips, [mark if heard else "" for mark, heard in zip(sounds, known, strict=True)])
    file_of = {clip.clip_id: file for clip, file in zip(clips, files, strict=True)}
    others = [group for group in same_sounds if len({file_of[clip.clip_id] for clip in group}) > 1]
    told = [f"equal files: {described(same_files)}"] if same_files else []
    told += [f"equal audio in files of other bytes: {described(others)}"] if others else []
    return counts("files", same_files) | counts("audio", same_sounds), told


def equal_files(clips: Sequence[Clip], audio: Path, workers: int) -> list[Group]:
    """Return the groups of clips whose files are equal byte for byte; of most files no more is read than their size.

    What cannot be read is equal to nothing.
    """
    left: list[Group] = [list(clips)]
    with ThreadPoolExecutor(workers) as pool:
        for look in (_size, _piece, digest):
            left = [part for group in left for part in groups(group, pool.map(_safely(look, audio), group))]
    return left


def _safely(look: Callable[[Path], Hashable], audio: Path) -> Callable[[Clip], Hashable]:
    def mark(clip: Clip) -> Hashable:
        try:
            return look(audio / clip.path)
        except OSError:
            return None

    return mark


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _piece(path: Path) -> bytes:
    with naming(path), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size // 2 - _PIECE))
        return file.read(_PIECE)
