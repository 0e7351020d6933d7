"""Music decoded by the workers of a Dask cluster, if EARMARK_CLUSTER names its scheduler.

Workers read the music from the folder that all machines share, and write waveforms into a folder that all share, or
into the store that EARMARK_STORE names. What comes to this process are digests, counts and names.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Protocol, Self, TypeVar

from earmark.cluster import results
from earmark.cluster.run import Task, run
from earmark.cluster.worker import About
from earmark.corpus.manifest import Clip
from earmark.decode import pool, waveform_store
from earmark.decode.index import Entry, Makers
from earmark.errors import EarmarkError
from earmark.storage.sealed_json import sealed, unsealed
from earmark.storage.store import Store, opened


class Shard(Protocol):
    """A shard of waveforms that is to be decoded (``decode.corpus.WaveformShard``)."""

    @property
    def name(self) -> str:
        """Its name in the manifest."""

    @property
    def clips(self) -> list[Clip]:
        """What is in it."""

    @property
    def fingerprint(self) -> str:
        """What it is made of."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    def moved(self, store: Path | None = None) -> Self:
        """Return the same shard in another store; None: by the full names of its folders."""

    def recall(self, address: str | None = None) -> Entry | None:
        """Return what it says of itself, if it is there already."""

    def write(self, threads: ThreadPoolExecutor, done: Callable[[int], object]) -> Entry:
        """Decode it."""


S = TypeVar("S", bound=Shard)
Digest = Callable[[Path], str]
ABSENT = "absent"  # in place of the digest of a file


def files(
    address: str, audio: Path, by_shard: Mapping[str, Sequence[Clip]], digest: Digest, about: About,
    done: Callable[[int], object],
) -> dict[str, tuple[str, ...]]:  # fmt: skip
    """Have the workers read the music of every shard; return the digests of its files, by the shard's name.

    about: as ``write`` takes it. done: called with a number of clips. Raises EarmarkError as ``cluster.run.run`` does,
    and if a file is here that a worker does not see.
    """
    folder = audio.resolve()
    tasks = [
        Task(f"the music of shard {name}", (name, [clip.path for clip in by_shard[name]])) for name in sorted(by_shard)
    ]
    found = {}
    work = partial(_read, digest, folder)
    with closing(run(address, work, about, tasks, like=about(), keeps=False)) as finished:
        for (name, paths), digests in finished:
            absent = [path for path, told in zip(paths, digests, strict=True) if told == ABSENT]
            if seen := [path for path in absent if (audio / path).is_file()]:
                raise EarmarkError(f"{folder / seen[0]} is here, but not on a worker of {address}: all must share it")
            found[name] = digests
            done(len(paths))
    return found


def _read(digest: Digest, folder: Path, item: tuple[str, Sequence[str]]) -> tuple[str, ...]:
    """Take the digests of the files of a shard, on a worker."""
    if not folder.is_dir():
        raise EarmarkError(f"{folder} is not there: the workers read the music from a folder that all machines share")
    return tuple(_threads().map(digest, [folder / path for path in item[1]]))


def write(
    address: str, wanted: Sequence[S], about: About, makers: Callable[[], Makers], done: Callable[[int], object]
) -> Iterator[tuple[S, Entry]]:
    """Have the workers decode shards; yield each with its entry as it is finished.

    about: returns the digest of the code that decodes, and its ``makers``; workers must have those of this machine,
    because it decodes, too. done: called with the number of clips of every finished shard. Raises EarmarkError as
    ``cluster.run.run`` does.
    """
    url = os.environ.get("EARMARK_STORE")
    here = {shard.name: shard for shard in wanted}
    tasks = [Task(f"shard {shard.name} of waveforms, {shard.path}", shard.moved()) for shard in wanted]
    with closing(run(address, partial(_write, url, makers), about, tasks, like=about())) as finished:
        for shard, entry in finished:
            if not url:
                results.check(address, shard.path, shard.fingerprint)
            done(len(shard.clips))
            yield here[shard.name], entry


def _write(url: str | None, makers: Callable[[], Makers], shard: Shard) -> Entry:
    """Decode a shard on a worker, into the folder that is shared, or else into the store: first it, then its entry."""
    held = _told(opened(url), shard.fingerprint) if url else shard.recall()
    if held is not None and held.makers == makers():  # by a worker that died before it could say so
        return held
    if not url:
        return shard.write(_threads(), lambda _: None)
    store = opened(url)
    with tempfile.TemporaryDirectory() as scratch:
        local = shard.moved(Path(scratch))
        entry = local.write(_threads(), lambda _: None)
        store.put(local.path, waveform_store.name_in_store(shard.fingerprint))
        told = Path(scratch) / "entry.json"
        told.write_text(sealed(asdict(entry)), encoding="utf-8")
        store.put(told, _entry_name(shard.fingerprint))
    return entry


def recall(fingerprint: str) -> Entry | None:
    """Return what the store that EARMARK_STORE names says of a shard; None if it is not there, or there is no store."""
    url = os.environ.get("EARMARK_STORE")
    return _told(opened(url), fingerprint) if url else None


def _told(store: Store, fingerprint: str) -> Entry | None:
    told = store.read(_entry_name(fingerprint))
    if told is None or not store.has(waveform_store.name_in_store(fingerprint)):
        return None
    try:
        entry = Entry(**unsealed(told))
    except (ValueError, TypeError):  # damaged: it is decoded again
        return None
    return entry if entry.fingerprint == fingerprint else None


def _entry_name(fingerprint: str) -> str:
    return f"waveforms/{fingerprint}.json"


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads of a worker, which the shards that it decodes at one time have in common."""
    return ThreadPoolExecutor(pool.workers())
