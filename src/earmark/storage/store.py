"""Files below an fsspec URL (``s3://...``), by which machines without a folder in common exchange shards."""

from __future__ import annotations

import uuid
from pathlib import Path


class Store:
    """Files by name, each written beside its place and moved there: whole ones or none."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.files, self.root = fsspec.core.url_to_fs(url)

    def has(self, name: str) -> bool:
        """Tell whether a file is there now: another machine may have written it since the folder was last listed."""
        self.files.invalidate_cache()
        return bool(self.files.exists(f"{self.root}/{name}"))

    def put(self, local: Path, name: str) -> None:
        """Upload a file."""
        place = f"{self.root}/{name}"
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
            beside.replace(local)
        finally:
            beside.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a file that may be there."""
        if self.has(name):
            self.files.rm_file(f"{self.root}/{name}")
