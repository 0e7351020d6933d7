"""Shards that stand side by side are made by the same libraries.

What another version of a decoder or of torch makes of the same input may differ in its last bits. The makers of a
shard, ``provenance.makers``, are recorded in it but are no part of its fingerprint: otherwise an update would make all
of a corpus again, and a colleague with other versions would pull in vain. The price is the rule below.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

Makers = Mapping[str, str]  # a library or device, and its version


def stale(current: Mapping[str, Makers | None], here: Makers) -> set[str]:
    """Return the shards that must be made now, so that in the end all have the same makers.

    current: by name, the makers of each shard that is up to date, and None for one that must be made in any case. here:
    the makers of what is made now. If nothing must be made, and all were made by the same makers, they stay as
    they are, whoever these are; otherwise all are made again whose makers are not ``here``.
    """
    makers = list(current.values())
    if None not in makers and all(each == makers[0] for each in makers):
        return set()
    return {name for name, each in current.items() if each != here}


def stale_reason(current: Mapping[str, Makers | None], again: Collection[str], here: Makers) -> str | None:
    """Return one line for who waits: how many shards of ``again`` were up to date, and in what their makers differ."""
    others = [makers for name in again if (makers := current[name]) is not None]
    if not others:
        return None
    differ = {key: _versions(others, key, here) for key in sorted({*here, *(key for each in others for key in each)})}
    named = "; ".join(f"{key} {theirs}, here {here.get(key, 'none')}" for key, theirs in differ.items() if theirs)
    count = f"{len(others)} shard{'s' * (len(others) > 1)} of other makers"
    return f"{count} ({named}) must be made again: shards that stand side by side have the same makers"


def _versions(others: Collection[Makers], key: str, here: Makers) -> str:
    """Return the versions of a library that are not the one of this machine."""
    return " and ".join(sorted({makers.get(key, "none") for makers in others} - {here.get(key, "none")}))
