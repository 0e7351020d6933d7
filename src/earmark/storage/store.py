"""Files below an fsspec URL (``s3://...``), by which machines without a folder in common exchange shards."""

from __future__ import annotations

import uuid
from functools import lru_cache
from pathlib import Path

from earmark.files import put_in_place

# Object stores, by fsspec's names: an upload there appears whole or not at all, and a rename would be a copy.
_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "ocilake", "oss", "r2", "tos"}


class Store:
    """Files by name, whole ones or none: uploaded at once, or else written beside their place and moved there."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.files, self.root = fsspec.core.url_to_fs(url)
        names = self.files.protocol
        self.atomic = not _ATOMIC.isdisjoint({names} if isinstance(names, str) else names)

    def has(self, name: str) -> bool:
        """Tell whether a file is there now: another machine may have written it since the folder was last listed."""
        self.files.invalidate_cache()
        return bool(self.files.exists(f"{self.root}/{name}"))

    def put(self, local: Path, name: str) -> None:
        """Upload a file."""
        place = f"{self.root}/{name}"
        if self.atomic:
            self.files.put_file(str(local), place)
            return
        beside = f"{place}.{uuid.uuid4().hex}.tmp"
        self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.files.put_file(str(local), beside)
        self.files.mv(beside, place)

    def get(self, name: str, local: Path) -> None:
        """Download a file."""
        local.parent.mkdir(parents=True, exist_ok=True)
        beside = local.with_name(f".{local.stem[:150]}{local.suffix}.{uuid.uuid4().hex}.tmp")  # a name has 255 bytes
        try:
            self.files.get_file(f"{self.root}/{name}", str(beside))
            put_in_place(beside, local)
        finally:
            beside.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """Return what is in a small file; None if it is not there."""
        try:
            return bytes(self.files.cat_file(f"{self.root}/{name}"))
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Delete a file that may be there."""
        if self.has(name):
            self.files.rm_file(f"{self.root}/{name}")


@lru_cache(maxsize=4)
def opened(url: str) -> Store:
    """Return the store at a URL; the connections to it are kept for the next file."""
    return Store(url)
