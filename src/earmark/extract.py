"""Waveform shard in, feature shard out, in batches on the GPU where torch sees one.

Reading the next batch and writing the last one overlap with computing this one. A shard whose inputs, settings and code
have not changed is left as it is, so that a crash costs one shard at most. With EARMARK_CLUSTER the workers of a Dask
cluster compute the shards.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import cluster, devices, memory, progress, provenance, representations, shards
from earmark.errors import EarmarkError

_LARGEST_BATCH = {"cpu": 16, "cuda": 64}  # beyond these the measured time per clip no longer falls
_FULL_SCALE = 1 / 32768  # of int16 waveforms

Settings = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")
_ASKING = threading.Lock()  # Python 3.11 fails where two threads read syntax trees at once
_ONE_AT_A_TIME = threading.Lock()  # a worker may have several threads; the transform uses all cores itself


def extract(waveforms: Path, out: Path, settings: Settings) -> dict[str, int]:
    """Compute one representation of every waveform shard under ``waveforms`` into ``out``.

    settings: kind, rate (Hz), samples per clip, the kind's own options, and dtype: how features are stored. Returns how
    many clips there are and how many of them were computed now.
    """
    sources = shards.shard_files(waveforms)
    counts = {path: len(shards.clip_ids(path)) for path in sources}
    stale = {path: mark for path in sources if (mark := _fingerprint(path, settings)) != _existing(out, path)}
    computed = sum(counts[path] for path in stale)
    with progress.bar(computed, f"features {out.name}", "clip") as bar:
        if stale and (address := os.environ.get("EARMARK_CLUSTER")):
            tasks = [cluster.Task(path, out / path.name, mark, counts[path]) for path, mark in stale.items()]
            cluster.run(address, compute_shard, about, settings, tasks, bar.update)
        else:
            for path, mark in stale.items():
                compute_shard(settings, path, out / path.name, mark, bar.update)
    shards.remove_others(out, {path.stem for path in sources})
    return {"clips": sum(counts.values()), "computed": computed}


def compute_shard(
    settings: Settings, source: Path, target: Path, fingerprint: str, done: Callable[[int], object] = lambda _: None
) -> None:
    """Write the features of one waveform shard: what a stage does for each, here or on a worker of a cluster.

    The folder of ``target`` is named as the representation, and errors name that.
    """
    with _ONE_AT_A_TIME:
        _engine(json.dumps(settings), str(devices.device()), target.parent.name).run(source, target, fingerprint, done)


@lru_cache(maxsize=1)
def _engine(settings: str, device: str, name: str) -> Extractor:  # noqa: ARG001 - another device is another engine
    """The transform of those settings, kept for the next shard."""
    memory.keep()
    return Extractor(json.loads(settings), name)


def about() -> tuple[str, str]:
    """The code that computes features on this machine, and what else their bytes depend on: torch and the device."""
    with _ASKING:
        code = provenance.code_version("earmark.extract", *_modules(*representations.kinds()))
    return code, f"torch {torch.__version__} on {devices.kind(devices.device())}"


def code_version(kind: str) -> str:
    """The version of the code that makes features of this kind; editing another kind's module does not change it."""
    return provenance.code_version(*_modules(kind), "earmark.shards")


def _modules(*kinds: str) -> list[str]:
    """The modules that the registry imports by name, which no import statement tells."""
    return [f"earmark.representations.{kind}" for kind in kinds]


def _fingerprint(source: Path, settings: Settings) -> str:
    return provenance.fingerprint(
        waveforms=shards.fingerprint_of(source), settings=settings, code=code_version(settings["kind"])
    )


def _existing(out: Path, source: Path) -> str | None:
    return shards.fingerprint_of(out / source.name)


class Extractor:
    """One transform on one device, used for many shards. ``name``: what errors call it (default: its kind).

    ``seconds``: how long it has read, transformed and written so far; these overlap.
    """

    def __init__(self, settings: Settings, name: str | None = None) -> None:
        options = {k: v for k, v in settings.items() if k not in ("kind", "rate", "samples", "dtype")}
        self.settings = settings
        self.seconds = dict.fromkeys(("read", "transform", "write"), 0.0)
        self.device = devices.device()
        self.copies = devices.Copies(self.device)
        try:
            transform = representations.build(
                settings["kind"], rate=settings["rate"], n_samples=settings["samples"], name=name, **options
            )
        except ValueError as error:
            raise EarmarkError(str(error)) from None
        self.transform = transform.to(self.device)
        fitting = devices.free_bytes(self.device) // (2 * transform.bytes_per_clip)  # half of what is free
        self.batch = max(1, min(_LARGEST_BATCH.get(self.device.type, 16), fitting))

    def run(self, source: Path, target: Path, fingerprint: str, done: Callable[[int], object]) -> None:
        """Write the features of one waveform shard, rows in the shard's order."""
        transform = self.transform
        append = self._timed("write", lambda ids, rows: writer.append(ids, rows()))
        compute = self._timed("transform", self._compute)
        with shards.open_shard(source) as file, ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as scribe:
            ids = [i.decode() for i in file["clip_id"][:]]
            shape = (transform.n_frames, transform.n_dims)
            with shards.ShardWriter(
                target, "features", len(ids), shape, self.settings.get("dtype", "float32")
            ) as writer:
                pending = None
                for start, waves in self._batches(file["waveform"], reader):
                    rows = compute(waves)
                    if pending is not None:
                        pending.result()
                    pending = scribe.submit(append, ids[start : start + len(waves)], rows)
                    done(len(waves))
                if pending is not None:
                    pending.result()
                writer.axes = transform.axes
                writer.attributes = {
                    "code": code_version(self.settings["kind"]),
                    "config": self.settings,
                    "fingerprint": fingerprint,
                    "waveforms": str(file.attrs["fingerprint"]),
                }

    def _batches(self, waveforms: Any, reader: ThreadPoolExecutor) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, batch of waves), the next batch being read meanwhile."""

        def load(start: int) -> NDArray[np.float32]:
            try:
                raw = waveforms[start : start + self.batch, : self.settings["samples"]]
            except OSError as error:  # the target's writer would take it for an error of its own
                raise EarmarkError(
                    f"{waveforms.file.filename}: waveforms from row {start} on cannot be read ({error}); the disk or "
                    "the share that it lies on may be failing"
                ) from error
            scale = np.float32(_FULL_SCALE if raw.dtype == np.int16 else 1)
            return np.asarray(raw, np.float32) * scale

        rows, read = len(waveforms), self._timed("read", load)
        start, following = 0, reader.submit(read, 0)
        while start < rows:
            waves = following.result()
            after = start + len(waves)
            if after < rows:
                following = reader.submit(read, after)
            yield start, waves
            start = after

    def _timed(self, what: str, work: Callable[P, R]) -> Callable[P, R]:
        """``work``, its time added to ``seconds``."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self.seconds[what] += time.perf_counter() - start

        return timed

    def _compute(self, waves: NDArray[np.float32]) -> devices.Ready:
        """Features of one batch; where memory does not suffice, in halves, and all later batches so."""
        try:
            with torch.no_grad():
                return self.copies.download(self.transform(self.copies.upload(waves)))
        except (MemoryError, RuntimeError) as error:
            if not devices.lacks_memory(error) or len(waves) == 1:
                raise
        self.batch = half = len(waves) // 2
        print(f"features: {2 * half} clips at once do not fit into memory, going on with {half}", file=sys.stderr)
        parts = [self._compute(part) for part in np.array_split(waves, range(half, len(waves), half))]
        return lambda: np.concatenate([part() for part in parts])
