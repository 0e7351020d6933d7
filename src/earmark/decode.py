"""Decode a manifest's clips into waveform shards, in parallel over files; count and list what is rejected."""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from earmark import memory, progress, provenance, shards
from earmark.audio import Decoded, RejectedError, decode, to_stored
from earmark.config import WaveformConfig
from earmark.corpora.magnatagatune import BROKEN
from earmark.manifest import Clip, CorpusError, write_csv

MENTIONED = 10  # rejects
FOUND = ("segments", "padded", "silent", "clipped")

S = TypeVar("S")
R = TypeVar("R")


def decode_corpus(clips: Iterable[Clip], audio: Path, rate: int, config: WaveformConfig, out: Path) -> dict[str, Any]:
    """Write one shard of waveforms per manifest shard under ``out`` and ``out``/rejected.csv; return the counts.

    A shard whose files, settings and code have not changed is left as it is. A reject that is not one of
    MagnaTagATune's known broken files is a warning. Raises CorpusError, naming the most frequent reasons, when more
    than ``max_rejected`` of the clips are rejected.
    """
    memory.keep()  # threads that map and unmap every wave's memory wait for each other
    by_shard: dict[str, list[Clip]] = {}
    for clip in clips:
        by_shard.setdefault(clip.shard, []).append(clip)
    total = sum(map(len, by_shard.values()))
    out.mkdir(parents=True, exist_ok=True)
    rejected: list[tuple[str, str, str]] = []
    computed, found = 0, Counter[str]()
    made = [WaveformShard(out / f"{name}.h5", by_shard[name], audio, rate, config) for name in sorted(by_shard)]
    with (
        ThreadPoolExecutor(workers()) as pool,
        ThreadPoolExecutor(2) as writers,  # while one shard is brought to its end the next one keeps the pool busy
        progress.bar(total, f"decode {rate} Hz", "clip") as bar,
    ):
        for shard, decoded in ordered(writers, lambda shard: shard.update(pool, bar.update), made):
            computed += decoded
            rejected.extend(shard.rejected)
            found.update(shard.found)
    shards.remove_others(out, set(by_shard))
    write_csv(out / "rejected.csv", ("clip_id", "path", "reason"), rejected)
    unexpected = [row for row in rejected if row[1] not in BROKEN]
    for clip_id, path, reason in unexpected[:MENTIONED]:
        print(f"warning: decode {rate} Hz: clip {clip_id} ({path}) is rejected: {reason}", file=sys.stderr)
    if len(unexpected) > MENTIONED:
        rest = len(unexpected) - MENTIONED
        print(f"warning: decode {rate} Hz: {rest} more, see {out / 'rejected.csv'}", file=sys.stderr)
    if len(rejected) > config.max_rejected * total:
        reasons = Counter(reason.split(":")[0] for _, _, reason in rejected).most_common(3)
        raise CorpusError(
            f"waveforms.{rate}.max_rejected={config.max_rejected:g} of {total} clips, got {len(rejected)} rejected: "
            + ", ".join(f"{count} x {reason}" for reason, count in reasons)
            + f"; {out / 'rejected.csv'} lists them"
        )
    known = len(rejected) - len(unexpected)
    counts = {"clips": total - len(rejected), "rejected": len(rejected), "rejected_as_known": known}
    return counts | {key: found[key] for key in FOUND} | {"computed": computed}


def workers() -> int:
    """How many files are decoded at once: EARMARK_WORKERS, or the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("EARMARK_WORKERS", 0)) or cores


class WaveformShard:
    """One shard of waveforms and what was rejected on the way to it."""

    def __init__(self, path: Path, clips: list[Clip], audio: Path, rate: int, config: WaveformConfig) -> None:
        self.path, self.clips, self.audio, self.rate, self.config = path, clips, audio, rate, config
        self.rejected: list[tuple[str, str, str]] = []
        self.found: dict[str, int] = dict.fromkeys(FOUND, 0)

    def update(self, pool: ThreadPoolExecutor, done: Callable[[int], object]) -> int:
        """Decode the shard unless it is up to date; return how many clips were decoded."""
        settings = self.config.model_dump(mode="json", exclude={"max_rejected"}) | {"rate": self.rate}
        inputs = list(zip((c.clip_id for c in self.clips), pool.map(self._digest, self.clips), strict=True))
        code = provenance.digest("decode")
        fingerprint = provenance.fingerprint(inputs=inputs, settings=settings, code=code)
        if shards.fingerprint_of(self.path) == fingerprint:
            self._recall()
            done(len(self.clips))
            return 0
        capacity = None if self.config.policy == "segments" else len(self.clips)
        with shards.ShardWriter(self.path, "waveform", capacity, (self.config.samples,), self.config.dtype) as writer:
            for clip, result in ordered(pool, self._decode, self.clips):
                if isinstance(result, RejectedError):
                    self.rejected.append((clip.clip_id, clip.path, str(result)))
                else:
                    writer.append([clip.clip_id] * len(result.waves), result.waves)
                    here = (len(result.waves), result.padded > 0, result.silent, result.clipped)
                    self.found = {key: self.found[key] + int(more) for key, more in zip(FOUND, here, strict=True)}
                done(1)
            writer.attributes = {
                "code": code,
                "config": settings,
                "fingerprint": fingerprint,
                "found": self.found,
                "rejected": self.rejected,
            }
        return len(self.clips)

    def _recall(self) -> None:
        """Take the rejections of an up-to-date shard from its attributes."""
        with shards.open_shard(self.path) as file:
            self.rejected = [tuple(row) for row in shards.attribute(file, "rejected")]
            self.found = shards.attribute(file, "found")

    def _digest(self, clip: Clip) -> str:
        path = self.audio / clip.path
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"

    def _decode(self, clip: Clip) -> Decoded | RejectedError:
        """The waves of a file as they are stored, or why there are none."""
        c = self.config
        try:
            decoded = decode(self.audio / clip.path, self.rate, c.samples, c.min_seconds, c.policy, c.segments)
        except RejectedError as error:
            return error
        return replace(decoded, waves=to_stored(decoded.waves, c.dtype))


def ordered(pool: ThreadPoolExecutor, work: Callable[[S], R], items: Iterable[S]) -> Iterator[tuple[S, R]]:
    """Like ``pool.map`` with the item beside its result, but with a short queue: memory stays bounded."""
    waiting: deque[tuple[S, Future[R]]] = deque()
    source = iter(items)
    for item in itertools.islice(source, 4 * workers()):
        waiting.append((item, pool.submit(work, item)))
    while waiting:
        item, future = waiting.popleft()
        yield item, future.result()
        for following in itertools.islice(source, 1):
            waiting.append((following, pool.submit(work, following)))
