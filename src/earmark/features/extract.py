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
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import devices, progress, representations
from earmark.config import RepresentationConfig, entry, load
from earmark.corpus.manifest import read_manifest
from earmark.decode import corpus as decode
from earmark.decode.audio import from_stored
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.features import cluster
from earmark.storage import memory, provenance, shards
from earmark.storage.makers import stale, stale_reason

_LARGEST_BATCH = {"cpu": 16, "cuda": 64}  # beyond these the measured time per clip no longer falls

P = ParamSpec("P")
R = TypeVar("R")
_ONE_AT_A_TIME = threading.Lock()  # a worker may have several threads; the transform uses all cores itself


def extract_representation(params: Path, representation: str, waveforms: Path, manifest: Path, out: Path) -> None:
    """Do what the stage does for a representation of params.yaml: compute it, and say how many clips that took.

    waveforms: the folder with the index of its rate. Raises EarmarkError if it is not in params.yaml.
    """
    config = load(params)
    settings = entry("representations", config.representations, representation)
    source = Waveforms(waveforms, read_manifest(manifest), config.corpus.audio)
    watch = progress.Stopwatch()
    counts = extract(source, out, settings)
    kept = counts["clips"] - counts["computed"]
    watch.report(f"features {representation}", counts["computed"], f"{kept} were up to date")


def extract(waveforms: Waveforms, out: Path, config: RepresentationConfig) -> dict[str, int]:
    """Compute one representation of every shard of ``waveforms`` into ``out``, which is named as the representation.

    Returns how many clips there are and how many of them were computed now. A damaged shard is computed again; only a
    shard that is not up to date needs its waveforms. In the end all shards are of the same makers, as ``stale`` has
    it: those of what is computed now are known when the first is done, for it may be another machine that does it.
    """
    config = representations.resolve(config, out.name)
    counts = {name: shard.rows for name, shard in waveforms.shards.items()}
    marks = {name: _fingerprint(shard.fingerprint, config) for name, shard in waveforms.shards.items()}
    targets = {name: out / f"{name}.h5" for name in marks}
    held = {name: _made_by(targets[name], mark) for name, mark in marks.items()}
    computed, here = 0, makers() | decode.makers()
    while again := sorted(stale(held, here)):
        if line := stale_reason(held, again, here):
            progress.say(f"features {out.name}", line)
        if first := [name for name in again if held[name] is None]:
            again = first  # by whose makers the others are judged then
        sources = waveforms.ready(again, out)
        tasks = [cluster.Task(sources[name], targets[name], marks[name], counts[name]) for name in again]
        _compute(config, tasks, f"features {out.name}")
        computed += sum(task.clips for task in tasks)
        held |= {name: _made_by(targets[name], marks[name]) for name in again}
        if lost := [name for name in again if held[name] is None]:
            raise shards.ShardError(f"{targets[lost[0]]} is not what was written a moment ago; its disk may be failing")
        here = held[again[0]] or here
    shards.remove_others(out, set(targets))
    return {"clips": sum(counts.values()), "computed": computed}


def _made_by(path: Path, mark: str) -> dict[str, str] | None:
    """Who made a shard of that fingerprint; None where there is none, or a damaged one."""
    fingerprint, found = shards.marks_of(path)
    return json.loads(found or "{}") if fingerprint == mark else None


def _compute(config: RepresentationConfig, tasks: list[cluster.Task], label: str) -> None:
    """Compute shards here, or on the cluster that EARMARK_CLUSTER names."""
    with progress.bar(sum(task.clips for task in tasks), label, "clip") as bar:
        if address := os.environ.get("EARMARK_CLUSTER"):
            cluster.run(address, partial(compute_shard, config), partial(about, config.kind), tasks, bar.update)
            return
        for task in tasks:
            compute_shard(config, task.source, task.target, task.fingerprint, bar.update)


def compute_shard(
    config: RepresentationConfig,
    source: Path,
    target: Path,
    fingerprint: str,
    done: Callable[[int], object] = lambda _: None,
) -> None:
    """Write the features of one waveform shard: what a stage does for each, here or on a worker of a cluster.

    The folder of ``target`` is named as the representation, and errors name that.
    """
    with _ONE_AT_A_TIME:
        engine = _engine(config.model_dump_json(), str(devices.device()), target.parent.name)
        engine.run(source, target, fingerprint, done)


@lru_cache(maxsize=1)
def _engine(config: str, device: str, name: str) -> Extractor:  # noqa: ARG001 - another device is another engine
    """The transform of that configuration, in JSON, kept for the next shard."""
    memory.keep()
    return Extractor(RepresentationConfig.model_validate_json(config), name)


def about(kind: str) -> tuple[str, str]:
    """The code that computes features of a kind on this machine, and what else their bytes depend on."""
    told = ", ".join(f"{name} {version}" for name, version in sorted(makers().items()))
    return provenance.digest(f"features-{kind}"), told


def makers() -> dict[str, str]:
    """The libraries and the device that compute features here."""
    return provenance.makers("torch", "numpy", "scipy", device=devices.kind(devices.device()))


def _fingerprint(waveforms: str, config: RepresentationConfig) -> str:
    code = provenance.digest(f"features-{config.kind}")
    return provenance.fingerprint(waveforms=waveforms, settings=config.model_dump(mode="json"), code=code)


class Extractor:
    """One transform on one device, used for many shards. ``name``: what errors call it (default: its kind).

    ``seconds``: how long it has read, transformed and written so far; these overlap.
    """

    def __init__(self, config: RepresentationConfig, name: str | None = None) -> None:
        self.config = config
        self.seconds = dict.fromkeys(("read", "transform", "write"), 0.0)
        self.device = devices.device()
        self.copies = devices.Copies(self.device)
        transform = representations.of(config, name)
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
            with shards.ShardWriter(target, "features", len(ids), shape, self.config.dtype) as writer:
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
                    "code": provenance.digest(f"features-{self.config.kind}"),
                    "config": self.config.model_dump(mode="json"),
                    "fingerprint": fingerprint,
                    "makers": makers() | shards.attribute(file, "makers"),
                    "waveform_config": shards.attribute(file, "config"),
                    "waveforms": str(file.attrs["fingerprint"]),
                }

    def _batches(self, waveforms: Any, reader: ThreadPoolExecutor) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, batch of waves), the next batch being read meanwhile."""

        def load(start: int) -> NDArray[np.float32]:
            try:
                raw = waveforms[start : start + self.batch, : self.config.samples]
            except OSError as error:  # the target's writer would take it for an error of its own
                raise EarmarkError(
                    f"{waveforms.file.filename}: waveforms from row {start} on cannot be read ({error}); the disk or "
                    "the share that it lies on may be failing"
                ) from error
            return from_stored(raw)

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
