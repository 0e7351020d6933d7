"""Features computed by the workers of a Dask cluster, if EARMARK_CLUSTER names its scheduler.

The workers write the same files as this process would write, into a folder that all machines share. If they share
none, EARMARK_STORE names an fsspec URL that they all reach (``s3://...``). This process still decides which shards are
missing and what is in them, so a cluster changes no fingerprint.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from earmark.cluster import results
from earmark.cluster.run import Task, run
from earmark.cluster.worker import About
from earmark.decode.waveform_store import name_in_store
from earmark.storage.store import Store, opened

Work = Callable[[Path, Path, str], object]  # of source, target and fingerprint


@dataclass(frozen=True)
class FeatureShard:
    """One shard to compute: ``source`` has the waveforms, ``target`` gets the features of its ``clips`` clips."""

    source: Path
    target: Path
    fingerprint: str
    clips: int

    @property
    def source_name(self) -> str:
        """The name of the waveforms in a store."""
        return name_in_store(self.source.stem)

    @property
    def target_name(self) -> str:
        """The name of the features in a store."""
        return f"features/{self.fingerprint}.h5"


def compute(
    address: str, work: Work, about: About, wanted: Sequence[FeatureShard], done: Callable[[int], object]
) -> None:
    """Have the workers of a cluster do ``work(source, target, fingerprint)`` for every shard.

    about: as ``cluster.run.run`` takes it, which also says what is raised. done: called with the number of clips of
    every finished shard.
    """
    url = os.environ.get("EARMARK_STORE")
    remote = opened(url) if url else None

    def upload(shard: FeatureShard) -> None:
        if remote is not None and shard.source.is_file() and not remote.has(shard.source_name):
            remote.put(shard.source, shard.source_name)

    places = [replace(shard, source=shard.source.resolve(), target=shard.target.resolve()) for shard in wanted]
    tasks = [Task(str(shard.target), place) for shard, place in zip(wanted, places, strict=True)]
    # Only what this process decoded itself goes up; what workers have decoded is in the store.
    with closing(run(address, partial(_on_worker, work, url), about, tasks, on_gpus=True, before=upload)) as finished:
        for shard, _ in finished:
            if remote is not None:
                remote.get(shard.target_name, shard.target)
                remote.remove(shard.target_name)
            results.check(address, shard.target, shard.fingerprint)
            done(shard.clips)


def _on_worker(work: Work, url: str | None, shard: FeatureShard) -> None:
    """Compute one shard on a worker. Waveforms that are damaged are deleted: a second run makes them again."""
    if url is None:
        results.verify(shard.source, lambda: shard.source.unlink(missing_ok=True), shard.source.stem)
        work(shard.source, shard.target, shard.fingerprint)
    else:
        compute_by_store(opened(url), work, shard)


def compute_by_store(store: Store, work: Work, shard: FeatureShard) -> None:
    """Do one shard on a worker that shares no folder: fetch the waveforms, and leave the features in the store."""
    if store.has(shard.target_name):  # by a worker that has died since, or for an earlier run
        return
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "waveforms" / shard.source.name
        target = Path(scratch) / "features" / shard.target.parent.name / shard.target.name
        target.parent.mkdir(parents=True)
        store.get(shard.source_name, source)
        results.verify(source, lambda: store.remove(shard.source_name), shard.source.stem)
        work(source, target, shard.fingerprint)
        store.put(target, shard.target_name)
