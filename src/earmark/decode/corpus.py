"""Decode a manifest's clips into waveform shards, in parallel over files; count and list what is rejected.

The shards go into the store of this machine (``waveform_store``). What the pipeline keeps and shares of them is an
index, which names each shard's fingerprint and says what was found in it.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile

from earmark import progress
from earmark.cluster import connection, results
from earmark.config import WaveformConfig, entry, load
from earmark.corpus import registry
from earmark.corpus.manifest import Clip, read_manifest
from earmark.decode import cluster, equal, pool, waveform_store
from earmark.decode.audio import Decoded, stored
from earmark.decode.counts import FOUND, counted, equal_clips
from earmark.decode.index import Entry, Index, Makers
from earmark.decode.reader import DiskError, RejectedError, unreadable
from earmark.errors import EarmarkError, reason
from earmark.files import digest, write_json
from earmark.storage import memory, provenance, room, shards
from earmark.storage.makers import stale, stale_reason

S = TypeVar("S")
R = TypeVar("R")


def decode_configured(params: Path, rate: int, manifest: Path, out: Path, metrics: Path) -> None:
    """Do what the stage does for one rate of params.yaml: decode the clips of the manifest, and write the counts."""
    config = load(params)
    waveform = entry("waveforms", config.waveforms, rate)
    watch = progress.Stopwatch()
    expected = registry.broken(config.corpus.kind)
    counts = decode_corpus(read_manifest(manifest), config.corpus.audio, rate, waveform, out, expected)
    computed = counts.pop("computed")
    write_json(metrics, counts)
    watch.report(f"decode {rate} Hz", computed, f"{counts['clips']} usable, {counts['rejected']} rejected")


def decode_corpus(
    clips: Iterable[Clip], audio: Path, rate: int, config: WaveformConfig, out: Path, expected: Collection[str] = ()
) -> dict[str, Any]:
    """Decode every manifest shard into the store, write the index and what is amiss into ``out``; return the counts.

    What is amiss is listed in ``rejected.csv`` and ``incomplete.csv``: clips and reasons. A shard that the index or the
    store has for these files, settings and code is not decoded, unless ``stale`` asks for it. If EARMARK_CLUSTER names
    a cluster, its workers read the music. expected: paths of files that are known to be broken; every other reject is a
    warning.
    Raises CorpusError, naming the most frequent reasons, if more than ``max_rejected`` of the clips are rejected.
    """
    by_shard: dict[str, list[Clip]] = {}
    for clip in clips:
        by_shard.setdefault(clip.shard, []).append(clip)
    address = connection.address()
    known = _known(out, hashed(by_shard, audio, rate, config, waveform_store.root(out), address), address)
    lacking = _lacking(known, rate, address)
    for shard, found in write_shards(lacking, rate, address):
        known[shard] = found
    entries = {shard.name: entry for shard, entry in known.items() if entry is not None}
    counts = counted(entries, sum(map(len, by_shard.values())), rate, config, out, expected)
    in_order = [clip for shard in known for clip in shard.clips], [file for shard in known for file in shard.files]
    counts |= equal_clips(*in_order, [entries[shard.name] for shard in known], rate)
    Index(config.stored(rate), provenance.digest("decode"), entries).write(out)
    return counts | {"computed": sum(len(shard.clips) for shard in lacking)}


def _known(out: Path, made: Iterable[WaveformShard], address: str | None) -> dict[WaveformShard, Entry | None]:
    """Return what the last index in ``out``, or else the store, says of each shard; None if it must be decoded."""
    try:
        told = {entry.fingerprint: entry for entry in Index.read(out).shards.values()}
    except shards.ShardError:  # the first run, or the first of this version
        told = {}
    return {shard: told.get(shard.fingerprint) or shard.recall(address) for shard in made}


def _lacking(known: dict[WaveformShard, Entry | None], rate: int, address: str | None) -> list[WaveformShard]:
    """Return the shards that must be decoded, so that all are there and have the same makers.

    What ``known`` says of the others is completed from the store.
    """
    current = {shard.name: None if entry is None else entry.makers for shard, entry in known.items()}
    again = stale(current, here := makers())
    for shard in known:
        if shard.name in again and (entry := shard.recall(address)) is not None and entry.makers == here:
            known[shard] = entry  # another working copy has done it, or a run that was stopped
            again.remove(shard.name)
    if line := stale_reason(current, again, here):
        progress.say(f"decode {rate} Hz", line)
    return [shard for shard in known if shard.name in again]


def makers() -> Makers:
    """Return the versions of the libraries that decode here."""
    return provenance.makers("numpy", "soxr", libsndfile=soundfile.__libsndfile_version__)


def about() -> tuple[str, str]:
    """Return the digest of the code that decodes on this machine, and its makers in one line."""
    return provenance.digest("decode"), ", ".join(f"{name} {version}" for name, version in sorted(makers().items()))


def hashed(
    by_shard: dict[str, list[Clip]],
    audio: Path,
    rate: int,
    config: WaveformConfig,
    store: Path,
    address: str | None = None,
) -> Iterator[WaveformShard]:
    """Take the fingerprint of each shard, in the order of their names, over the bytes of its clips' files.

    address: of a cluster whose workers read them.
    """
    total = sum(map(len, by_shard.values()))
    with ThreadPoolExecutor(pool.workers()) as threads, progress.bar(total, "read the music", "clip") as bar:
        if address is not None:
            files = cluster.files(address, audio, by_shard, _digest, about, bar.update)
            for name in sorted(by_shard):
                yield WaveformShard.made_of(files[name], name, by_shard[name], audio, rate, config, store)
            return
        for name in sorted(by_shard):
            yield WaveformShard.of(name, by_shard[name], audio, rate, config, store, threads)
            bar.update(len(by_shard[name]))


def write_shards(
    wanted: list[WaveformShard], rate: int, address: str | None = None
) -> Iterator[tuple[WaveformShard, Entry]]:
    """Decode shards into the store, one after the other, or as the workers of a cluster finish them.

    Raises EarmarkError first if its disk has no room for them.
    """
    if wanted:
        needed = sum(shard.size - room.taken(shard.path) for shard in wanted)
        room.require(f"decode {rate} Hz, {sum(len(s.clips) for s in wanted)} clips", wanted[0].store, needed)
    if address is not None and wanted:
        with progress.bar(sum(len(shard.clips) for shard in wanted), f"decode {rate} Hz", "clip") as bar:
            yield from cluster.write(address, wanted, about, makers, bar.update)
        return
    memory.keep()  # threads that map and unmap every wave's memory wait for each other
    with (
        ThreadPoolExecutor(2) as writers,  # while one shard is brought to its end the next one keeps the pool busy
        pool.threads(pool.workers()) as threads,
        progress.bar(sum(len(shard.clips) for shard in wanted), f"decode {rate} Hz", "clip") as bar,
    ):
        yield from ordered(writers, lambda shard: shard.write(threads, bar.update), wanted)


@dataclass(frozen=True, eq=False)
class WaveformShard:
    """One shard of waveforms: its clips, the digests of their files, how they are decoded, the fingerprint of all."""

    name: str
    clips: list[Clip]
    audio: Path
    rate: int
    config: WaveformConfig
    store: Path
    files: tuple[str, ...]
    fingerprint: str

    @classmethod
    def of(
        cls, name: str, clips: list[Clip], audio: Path, rate: int, config: WaveformConfig, store: Path,
        threads: ThreadPoolExecutor,
    ) -> WaveformShard:  # fmt: skip
        """Take the fingerprint: over the bytes of the clips' files, the settings and the digest of the code."""
        files = tuple(threads.map(_digest, [audio / clip.path for clip in clips]))
        return cls.made_of(files, name, clips, audio, rate, config, store)

    @classmethod
    def made_of(
        cls, files: tuple[str, ...], name: str, clips: list[Clip], audio: Path, rate: int, config: WaveformConfig,
        store: Path,
    ) -> WaveformShard:  # fmt: skip
        """Take the fingerprint over the digests of the clips' files."""
        inputs = list(zip((c.clip_id for c in clips), files, strict=True))
        code = provenance.digest("decode")
        fingerprint = provenance.fingerprint(inputs=inputs, settings=config.stored(rate), code=code)
        return cls(name, clips, audio, rate, config, store, files, fingerprint)

    @property
    def path(self) -> Path:
        """Where the shard lies in the store."""
        return waveform_store.place(self.store, self.fingerprint)

    @property
    def size(self) -> int:
        """How many bytes its waveforms will take; at least, if files have as many segments as they have."""
        return self.config.size(len(self.clips))

    def moved(self, store: Path | None = None) -> WaveformShard:
        """Return the same shard in another store; None: in this one, by the full names of its folders."""
        return replace(self, audio=self.audio.resolve(), store=self.store.resolve() if store is None else store)

    def recall(self, address: str | None = None) -> Entry | None:
        """Return what the shard in the store says of itself; None if it is absent or damaged."""
        return recall(self.store, self.fingerprint, address)

    def write(self, threads: ThreadPoolExecutor, done: Callable[[int], object]) -> Entry:
        """Decode the shard into the store."""
        waveform_store.prepare(self.path)
        rejected: list[tuple[str, str, str]] = []
        incomplete: list[tuple[str, str, str]] = []
        sounds: list[str] = []
        found, rows = Counter(dict.fromkeys(FOUND, 0)), 0
        capacity = None if self.config.policy == "segments" else len(self.clips)
        with shards.ShardWriter(self.path, "waveform", capacity, (self.config.samples,), self.config.dtype) as writer:
            for clip, result in ordered(threads, self._decode, self.clips):
                if isinstance(result, RejectedError):
                    rejected.append((clip.clip_id, clip.path, str(result)))
                    sounds.append(equal.UNKNOWN)
                else:
                    sounds.append(equal.UNKNOWN if result.silent else equal.sound(result.waves))
                    rows += len(result.waves)
                    writer.append([clip.clip_id] * len(result.waves), result.waves)
                    if result.incomplete:
                        incomplete.append((clip.clip_id, clip.path, result.incomplete))
                    here = (
                        len(result.waves), result.padded > 0, result.silent, result.clipped, bool(result.incomplete),
                    )  # fmt: skip
                    found.update({key: int(more) for key, more in zip(FOUND, here, strict=True)})
                done(1)
            entry = Entry(self.fingerprint, rows, dict(found), rejected, makers(), incomplete, "".join(sounds))
            writer.attributes = {key: value for key, value in asdict(entry).items() if key != "sounds"} | {
                "code": provenance.digest("decode"), "config": self.config.stored(self.rate),
            }  # fmt: skip
            writer.axes = {"sounds": np.array(sounds, f"S{equal.DIGITS}")}  # attributes hold 64 KiB at most
        return entry

    def _decode(self, clip: Clip) -> Decoded | RejectedError:
        """Return the waves of a file as they are stored, or why there are none."""
        c = self.config
        settings = self.rate, c.samples, c.min_seconds, c.policy, c.segments, c.incomplete
        try:
            return pool.shared().run(stored, self.audio / clip.path, c.dtype, *settings)
        except DiskError as error:
            raise EarmarkError(f"{self.audio / clip.path}: {error}") from None
        except RejectedError as error:
            return error


def recall(store: Path, fingerprint: str, address: str | None = None) -> Entry | None:
    """Return what the shard of a fingerprint says of itself; None if it is absent from the store or damaged.

    address: of a cluster, if its workers are to read the shard. Whether it is damaged is left to them, and it may be in
    their own store (EARMARK_STORE).
    """
    if address is not None and (told_there := cluster.recall(fingerprint)) is not None:
        return told_there
    try:
        open_shard = shards.open_shard if address is None else results.look_into
        with open_shard(waveform_store.place(store, fingerprint)) as file:
            told = {key: shards.attribute(file, key) for key in ("rows", "found", "rejected", "makers", "incomplete")}
            told["sounds"] = file["axes/sounds"][:].tobytes().decode()
            return Entry(fingerprint, **told) if file.attrs["fingerprint"] == fingerprint else None
    except (ValueError, KeyError):  # what is in it is nothing of the kind, and so it is made again
        return None


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or in its place why there is none. Raises EarmarkError if its disk fails."""
    try:
        if not path.is_file():
            return cluster.ABSENT
        return digest(path)
    except OSError as error:
        if isinstance(unreadable(error), DiskError):  # the next time it may be read
            raise EarmarkError(f"{path} cannot be read: {reason(error)}") from None
        return "unreadable"  # decoding says why


def ordered(threads: ThreadPoolExecutor, work: Callable[[S], R], items: Iterable[S]) -> Iterator[tuple[S, R]]:
    """Like ``threads.map`` with the item beside its result, but with a short queue: memory stays bounded."""
    waiting: deque[tuple[S, Future[R]]] = deque()
    source = iter(items)
    for item in itertools.islice(source, 4 * pool.workers()):
        waiting.append((item, threads.submit(work, item)))
    while waiting:
        item, future = waiting.popleft()
        yield item, future.result()
        for following in itertools.islice(source, 1):
            waiting.append((following, threads.submit(work, following)))
