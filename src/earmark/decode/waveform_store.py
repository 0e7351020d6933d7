"""Where waveforms lie: in a store of this machine, one file per shard, named by its fingerprint.

All working copies that share a DVC cache share the store, and so do the copies in which DVC runs queued experiments.
Neither git nor DVC knows of it: waveforms are large, quickly made again, and often not the user's to give away. So any
file of it may be deleted at any time.
"""

from __future__ import annotations

import configparser
import os
import re
import socket
from collections.abc import Container, Iterable
from pathlib import Path

import platformdirs
import psutil

from earmark.errors import EarmarkError

VARIABLE = "EARMARK_WAVEFORMS"
FOLDER = "earmark-waveforms"


def root(folder: Path) -> Path:
    """Return the store for the waveforms whose index lies in ``folder``.

    It is EARMARK_WAVEFORMS, or else beside the cache of the DVC repository that ``folder`` lies in, or else, outside of
    any repository, beside ``folder``.
    """
    if named := os.environ.get(VARIABLE):
        path = Path(named).expanduser()
        if not path.is_absolute():
            raise EarmarkError(
                f"{VARIABLE} must be an absolute path, got {named!r}: DVC runs queued experiments in other folders"
            )
        return path
    inside = folder.absolute()
    repository = next((parent for parent in inside.parents if (parent / ".dvc").is_dir()), None)
    return inside.with_name(f".{FOLDER}") if repository is None else dvc_cache(repository / ".dvc").parent / FOLDER


def dvc_cache(dvc: Path) -> Path:
    """Return the folder of DVC's cache by DVC's own rules: the first setting found, relative to the file it is in.

    In the copy of a repository in which DVC runs a queued experiment ``config.local`` names the repository's own cache.
    """
    everyone = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir("dvc", "iterative")
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir("dvc", "iterative")
    for file in (dvc / "config.local", dvc / "config", Path(everyone) / "config", Path(system) / "config"):
        if named := _cache_dir(file):
            return (file.parent / Path(named).expanduser()).resolve()
    return (dvc / "cache").resolve()


def _cache_dir(file: Path) -> str | None:
    """``cache.dir`` of one of DVC's configuration files, which need not exist."""
    found = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=("#",))
    try:
        found.read(file, encoding="utf-8")
    except configparser.Error as error:
        raise EarmarkError(
            f"{file} cannot be read ({error.message}), and so it is not known where waveforms go; mend it, or set "
            f"{VARIABLE}"
        ) from None
    value = found.get("cache", "dir", fallback=None)
    return value.strip("\"'") if value else None


def place(store: Path, fingerprint: str) -> Path:
    """Return where the shard of a fingerprint lies, or would lie. Raises EarmarkError if it is no fingerprint."""
    if not is_fingerprint(fingerprint):
        raise EarmarkError(
            f"{store}: a shard is named by hexadecimal digits, got {fingerprint[:80]!r}; what names it is damaged, or "
            "comes from somebody else: run the stage decode"
        )
    return store / fingerprint[:2] / f"{fingerprint}.h5"


def is_fingerprint(text: str) -> bool:
    """Tell whether a text is hexadecimal digits alone, and so no path."""
    return re.fullmatch("[0-9a-f]+", text) is not None


def name_in_store(fingerprint: str) -> str:
    """Return the name of a shard in a store that machines exchange shards by (``storage.store``)."""
    return f"waveforms/{fingerprint}.h5"


def held(store: Path) -> dict[str, Path]:
    """Return the shards that are there, by their fingerprints."""
    return {path.stem: path for path in sorted(store.glob("??/*.h5"))}


def prepare(path: Path) -> None:
    """Make the folder for a shard, and delete what a killed process of this machine left of the shard there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        store = path.parent.parent
        raise EarmarkError(f"{store} takes no waveforms ({error}); {VARIABLE} may name another folder") from None
    for leftover in abandoned(path.parent, path.name):
        leftover.unlink(missing_ok=True)


def abandoned(folder: Path, shard: str = "*.h5") -> list[Path]:
    """Return what killed processes of this machine left in a folder, of one shard or of all."""
    found = []
    for leftover in sorted(folder.glob(f".{shard}.{socket.gethostname()}-*")):
        process = leftover.name.rpartition(f".h5.{socket.gethostname()}-")[2].partition(".")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            found.append(leftover)
    return found


def prune(store: Path, keep: Container[str]) -> list[Path]:
    """Delete all shards but those of the fingerprints ``keep``, and whatever killed processes left; return the shards.

    What another process is writing goes too, and fails there.
    """
    gone = [path for fingerprint, path in held(store).items() if fingerprint not in keep]
    for path in (*gone, *store.glob("??/.*.h5.*")):
        path.unlink(missing_ok=True)
    return gone


def size(files: Iterable[Path]) -> str:
    """Return in words how much space files take."""
    return f"{sum(path.stat().st_size for path in files) / 1e9:.1f} GB"
