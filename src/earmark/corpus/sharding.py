"""Deal clips to shards: a folder each, as corpora grow by folders, unless folders are very large or very many.

A shard that gets too large is split in two by a bit of each clip's hash, and these again: a tree, in which a clip's
place follows from its own id. So a further clip changes one shard, or splits one; no other is touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from earmark.corpus.manifest import Clip

LONGEST = 242  # bytes of a shard's name (rows.LONGEST)
# Without a setting: MagnaTagATune's folders, of up to 1,700 clips, stay what they are.
MOST_CLIPS, MOST_SHARDS = 2_048, 2_048
_BITS = 48


def sharded(clips: Sequence[Clip], most: int | None) -> list[Clip]:
    """Return the clips, in their order, with the names of shards of at most ``most`` clips.

    The shard that a clip names is its folder. One of more than ``most`` clips is split: ``rock+0``, ``rock+1``. Folders
    of less than a quarter of that are put together: ``+folders-0``, a folder always as a whole. most: None for
    MOST_CLIPS, and then folders are put together only if there are more than MOST_SHARDS of them.
    """
    by_folder: dict[str, list[Clip]] = {}
    for clip in clips:
        by_folder.setdefault(clip.shard, []).append(clip)
    limit = MOST_CLIPS if most is None else most
    small: dict[str, int] = {}
    if most is not None or len(by_folder) > MOST_SHARDS:
        small = {folder: len(inner) for folder, inner in by_folder.items() if len(inner) < limit // 4}
    place: dict[str, str] = {}
    for folder, inner in by_folder.items():
        if len(inner) > limit:
            for bits, ids in _split({clip.clip_id: 1 for clip in inner}, limit):
                place |= dict.fromkeys(ids, _named(folder, bits))
    together: dict[str, str] = {}
    if len(small) > 1:
        for bits, folders in _split(small, limit):
            together |= dict.fromkeys(folders, f"+folders-{bits}" if bits else "+folders")
    return [_moved(clip, place.get(clip.clip_id) or together.get(clip.shard)) for clip in clips]


def _moved(clip: Clip, shard: str | None) -> Clip:
    return clip if shard is None else replace(clip, shard=shard)


def _split(sizes: Mapping[str, int], limit: int) -> Iterator[tuple[str, list[str]]]:
    """Yield names in parts of at most ``limit`` in all, and the leading bits of their hashes that they share."""
    todo = [("", [(name, _bits(name)) for name in sizes])]
    while todo:
        bits, names = todo.pop()
        if len(names) == 1 or len(bits) == _BITS or sum(sizes[name] for name, _ in names) <= limit:
            yield bits, [name for name, _ in names]
            continue
        for bit in "01":
            if half := [pair for pair in names if pair[1][len(bits)] == bit]:
                todo.append((bits + bit, half))


def _bits(name: str) -> str:
    """Return the hash of a name as zeros and ones."""
    return f"{int.from_bytes(hashlib.sha256(name.encode()).digest()[: _BITS // 8]):0{_BITS}b}"


def _named(folder: str, bits: str) -> str:
    """Return the name of a part of a folder; the folder's is cut, but for a hash, if it gets too long.

    No folder has a plus sign in its shard's name (``rows.shard_of``).
    """
    if len(folder) + 1 + _BITS > LONGEST:
        folder = f"{folder[: LONGEST - _BITS - 18]}-{hashlib.sha256(folder.encode()).hexdigest()[:16]}"
    return f"{folder}+{bits}"
