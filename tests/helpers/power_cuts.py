"""What would be on the disk if the power failed: a rename must not come before the content, nor be forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Watched:
    """What is renamed while this watches, and what a power cut might do to it (Linux)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.renamed: list[Path] = []
        self.lost: list[str] = []
        self._synced: dict[int, bytes] = {}
        self._folders: set[Path] = set()
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self._sync)
        monkeypatch.setattr(os, "replace", self._rename)
        monkeypatch.setattr(os, "rename", self._rename)

    def _sync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        if path.is_dir():
            self._folders.discard(path)
        else:
            self._synced[path.stat().st_ino] = path.read_bytes()

    def _rename(self, source: str | Path, target: str | Path) -> None:
        source, target = Path(source), Path(target)
        if not target.name.startswith("."):  # another temporary name needs nothing
            if self._synced.get(source.stat().st_ino) != source.read_bytes():
                self.lost.append(f"the content of {target}")
            self._folders.add(target.parent.resolve())
            self.renamed.append(target)
        self._replace(source, target)

    def all_lost(self) -> list[str]:
        """Return what the disk might not have."""
        return self.lost + [f"the names in {folder}" for folder in self._folders]
