"""Waveform shard in, feature shard out, in batches, on a GPU if torch sees one.

While one batch is computed, the next one is read and the last one is written. A shard whose inputs, settings and code
have not changed stays as it is, so that a crash costs one shard at most. If EARMARK_CLUSTER names a Dask cluster, its
workers compute the shards.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import devices, doors, progress, representations
from earmark.cluster import connection
from earmark.config import RepresentationConfig, entry, load
from earmark.corpus.manifest import read_manifest
from earmark.decode import corpus as decode
from earmark.decode.audio import from_stored
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.features import cluster, gpus
from earmark.representations.base import section_of
from earmark.storage import memory, provenance, room, shards
from earmark.storage.makers import stale, stale_reason

_LARGEST_BATCH = {"cpu": 16, "cuda": 64}  # beyond these the measured time per clip no longer falls

P = ParamSpec("P")
R = TypeVar("R")


def extract_representation(params: Path, representation: str, waveforms: Path, manifest: Path, out: Path) -> None:
    """Run the stage: compute a representation of params.yaml into ``out``, and print how many clips were computed.

    waveforms: the folder with the index of the waveforms at its rate. Raises EarmarkError if params.yaml does not have
    the representation, or if it cannot be computed.
    """
    config = load(params)
    settings = entry("representations", config.heard, representation)
    source = Waveforms(waveforms, read_manifest(manifest), config.corpus.audio)
    watch = progress.Stopwatch()
    counts = extract(source, out, settings)
    kept = counts["clips"] - counts["computed"]
    watch.report(f"features {representation}", counts["computed"], f"{kept} were up to date")


def extract(waveforms: Waveforms, out: Path, config: RepresentationConfig) -> dict[str, int]:
    """Compute one representation of every shard of ``waveforms``, into a folder that has the name of its entry.

    Return how many clips there are, and how many of them were computed now. A damaged shard counts as absent. Waveforms
    are needed only for shards that are not up to date. In the end all have the same makers (see ``storage.makers``).
    Another machine may compute them, so the makers of this run are known only when its first shards are done.

    Raises ConfigError if the settings cannot be used, EarmarkError if the disk has no room for what is to be computed,
    ShardError if a shard that was just written is damaged.
    """
    config = representations.resolve(config, out.name)
    counts = {name: shard.rows for name, shard in waveforms.shards.items()}
    marks = {name: _fingerprint(shard.fingerprint, config) for name, shard in waveforms.shards.items()}
    targets = {name: out / f"{name}.h5" for name in marks}
    held = {name: _made_by(targets[name], mark) for name, mark in marks.items()}
    computed, here, address = 0, makers(config) | decode.makers(), connection.address()
    while again := sorted(stale(held, here)):
        if line := stale_reason(held, again, here):
            progress.say(f"features {out.name}", line)
        if first := [name for name in again if held[name] is None]:
            again = first  # their makers then decide about the others
        _require_room(config, {targets[name]: counts[name] for name in again})
        sources = waveforms.ready(again, out, address)
        wanted = [cluster.FeatureShard(sources[name], targets[name], marks[name], counts[name]) for name in again]
        _compute(config, wanted, f"features {out.name}", address)
        computed += sum(shard.clips for shard in wanted)
        held |= {name: _made_by(targets[name], marks[name]) for name in again}
        if lost := [name for name in again if held[name] is None]:
            raise shards.ShardError(f"{targets[lost[0]]} is not what was written a moment ago; its disk may be failing")
        here = held[again[0]] or here
    shards.remove_others(out, set(targets))
    return {"clips": sum(counts.values()), "computed": computed}


def _require_room(config: RepresentationConfig, wanted: dict[Path, int]) -> None:
    """Raise EarmarkError if the disk has no room for shards with so many rows; what they replace is room, too."""
    folder = next(iter(wanted)).parent
    row = representations.bytes_of_a_clip(config, folder.name)
    needed = sum(rows * row - room.taken(path) for path, rows in wanted.items())
    room.require(f"features {folder.name}, {sum(wanted.values())} clips", folder, needed)


def _made_by(path: Path, mark: str) -> dict[str, str] | None:
    """Return the makers of the shard with this fingerprint, None if it is absent or damaged."""
    fingerprint, found = shards.marks_of(path)
    return json.loads(found or "{}") if fingerprint == mark else None


def _compute(config: RepresentationConfig, wanted: list[cluster.FeatureShard], label: str, address: str | None) -> None:
    """Compute shards here, or on the cluster that has its scheduler at an address."""
    with progress.bar(sum(shard.clips for shard in wanted), label, "clip") as bar:
        if address is not None:
            cluster.compute(address, partial(compute_shard, config), partial(about, config), wanted, bar.update)
            return
        for shard in wanted:
            compute_shard(config, shard.source, shard.target, shard.fingerprint, bar.update)


def compute_shard(
    config: RepresentationConfig,
    source: Path,
    target: Path,
    fingerprint: str,
    done: Callable[[int], object] = lambda _: None,
) -> None:
    """Write the features of one waveform shard, here or on a worker of a cluster.

    A worker calls it in several threads, each of which has a GPU of its own. The folder of ``target`` has the name of
    the representation, which errors then name. done: called with the number of clips of every batch.
    """
    with gpus.one() as device:
        _engine(config, device, target.parent.name).run(source, target, fingerprint, done)


_ENGINES: dict[torch.device, Extractor] = {}  # the last one of each device


def _engine(config: RepresentationConfig, device: torch.device, name: str) -> Extractor:
    """Return the extractor of a representation on a device, which is kept for the next shard."""
    held = _ENGINES.get(device)
    if held is None or (held.config, held.name) != (config, name):
        _ENGINES.pop(device, None)
        del held  # what it has on the device makes room
        memory.keep()
        _ENGINES[device] = Extractor(config, name, device)
    return _ENGINES[device]


def about(config: RepresentationConfig) -> tuple[str, str]:
    """Return the digest of the code that computes features on this machine, and its makers in one line."""
    told = ", ".join(f"{name} {version}" for name, version in sorted(makers(config).items()))
    return provenance.digest(representations.consumer(config)), told


def makers(config: RepresentationConfig) -> dict[str, str]:
    """Return the versions of the libraries that compute features here, and the kind of device.

    Raises EarmarkError if one that the representation needs is not installed.
    """
    names = ("torch", "numpy", "scipy", *representations.libraries(config))
    try:
        return provenance.makers(*names, device=devices.kind(devices.device()))
    except PackageNotFoundError as error:
        raise EarmarkError(f"representations: {config.kind} needs {error.name}: `pip install {error.name}`") from None


def _fingerprint(waveforms: str, config: RepresentationConfig) -> str:
    code = provenance.digest(representations.consumer(config))
    return provenance.fingerprint(waveforms=waveforms, settings=config.model_dump(mode="json"), code=code)


class Extractor:
    """A transform on a device, for many shards.

    name: what errors call it (default: its kind). device: by default the one in use. seconds: how long it has read,
    transformed and written so far; these overlap. Raises ConfigError if the settings cannot be used.
    """

    def __init__(
        self, config: RepresentationConfig, name: str | None = None, device: torch.device | None = None
    ) -> None:
        self.config = config
        self.seconds = dict.fromkeys(("read", "transform", "write"), 0.0)
        self.device = device or devices.device()
        self.copies = devices.Copies(self.device)
        self.name = name or config.kind
        transform = representations.of(config, name)
        if line := transform.warning(self.name):
            print(line, file=sys.stderr)
        self.transform = transform.to(self.device)
        fitting = devices.free_bytes(self.device) // (2 * transform.bytes_per_clip)  # half of what is free
        self.batch = max(1, min(_LARGEST_BATCH.get(self.device.type, 16), fitting))

    def run(self, source: Path, target: Path, fingerprint: str, done: Callable[[int], object]) -> None:
        """Write the features of one waveform shard; the rows keep their order. done: as in ``compute_shard``."""
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
                    "code": provenance.digest(representations.consumer(self.config)),
                    "config": self.config.model_dump(mode="json"),
                    "fingerprint": fingerprint,
                    "makers": makers(self.config) | shards.attribute(file, "makers"),
                    "waveform_config": shards.attribute(file, "config"),
                    "waveforms": str(file.attrs["fingerprint"]),
                }

    def _batches(self, waveforms: Any, reader: ThreadPoolExecutor) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, waves (batch, samples)); the next batch is read meanwhile."""

        def load(start: int) -> NDArray[np.float32]:
            try:
                raw = waveforms[start : start + self.batch, : self.config.samples]
            except OSError as error:  # the writer of the target would take it for its own error
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
        """Return ``work`` with its time added to ``seconds``."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self.seconds[what] += time.perf_counter() - start

        return timed

    def _compute(self, waves: NDArray[np.float32]) -> devices.Ready:
        """Compute the features of a batch; if it does not fit into memory, halve it and all later batches.

        Raises EarmarkError, with the line of its code, if the transform itself fails.
        """
        try:
            with torch.no_grad():
                return self.copies.download(self.transform(self.copies.upload(waves)))
        except Exception as error:
            if not devices.lacks_memory(error):
                where = f"{section_of(self.config.kind)}.{self.name}"
                raise EarmarkError(f"{where}: {doors.fault(error, 'representations', self.config.kind)}") from error
            if len(waves) == 1:
                raise
        self.batch = half = len(waves) // 2
        print(f"features: {2 * half} clips at once do not fit into memory, going on with {half}", file=sys.stderr)
        parts = [self._compute(part) for part in np.array_split(waves, range(half, len(waves), half))]
        return lambda: np.concatenate([part() for part in parts])
