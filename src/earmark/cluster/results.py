"""What workers have written, as it looks from here, and what they are given to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py

from earmark.errors import EarmarkError
from earmark.storage import shards
from earmark.storage.hdf5_disk import ReadFile


def look_into(path: Path) -> h5py.File:
    """Open a shard for its attributes, without comparing it with its checksums, which would read all of it.

    Raises ShardError if it is absent, or no HDF5.
    """
    try:
        return ReadFile(path)
    except OSError as error:
        raise shards.ShardError(f"{path} cannot be used ({error})") from None


def check(address: str, path: Path, fingerprint: str) -> None:
    """Raise EarmarkError if a finished shard is not here: then the folder is shared only in name."""
    try:
        with look_into(path) as file:
            found = file.attrs.get("fingerprint")
    except shards.ShardError:
        found = None
    if found != fingerprint:
        raise EarmarkError(
            f"{path}: a worker of {address} wrote it (fingerprint {fingerprint}), but here is {found}; do all machines "
            f"share {path.parent.resolve()}? Otherwise EARMARK_STORE must name a store that they reach"
        )


def verify(path: Path, remove: Callable[[], object], fingerprint: str) -> None:
    """Compare a shard that is about to be read with its checksums and its fingerprint; if they differ, have it removed.

    Only for what can be made again. Raises EarmarkError if it is absent, damaged or another.
    """
    if not path.is_file():
        raise EarmarkError(
            f"{path} is not there: this machine may not share its folder, or it was damaged and a worker removed it; a "
            "second run of the stage makes it again"
        )
    try:
        with shards.open_shard(path) as file:
            found = file.attrs.get("fingerprint")
        if found != fingerprint:
            raise shards.ShardError(f"{path} is another shard, {found}")
    except shards.ShardError as error:
        if not isinstance(error.__context__, PermissionError):
            remove()
        raise EarmarkError(f"{path} was damaged, and is removed; a second run of the stage makes it again") from error
