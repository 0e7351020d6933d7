"""A large run in small, on this machine: many shards, workers that are killed and join, and one that always fails.

    python bench/cluster.py --shards 1000 --workers 8 --kills 10

decodes as many tiny files, a shard each, by ``decode_corpus`` with a scheduler and workers as processes on loopback. It
prints how many shards there are, how many were decoded more than once, and how much memory the client and the scheduler
take as it goes on. Its exit code is 1 if a shard is absent.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import soundfile

from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode import waveform_store
from earmark.decode.corpus import decode_corpus

RATE = 16_000
PRELOAD = """
import os, pathlib
from earmark.decode.corpus import WaveformShard
if not hasattr(WaveformShard, "really_write"):  # Dask runs this more than once
    WaveformShard.really_write = WaveformShard.write
def write(self, threads, done):
    if os.environ.get("SICK"):
        raise RuntimeError("CUDA error: device-side assert triggered")
    found = self.really_write(threads, done)
    with open(os.environ["DECODED"], "a") as log:
        log.write(self.name + "\\n")
    return found
WaveformShard.write = write
"""


class Cluster:
    """A scheduler and workers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers = folder, []
        self.decoded = folder / "decoded.txt"
        self.decoded.touch()
        (folder / "preload.py").write_text(PRELOAD)
        log = folder / "scheduler.log"
        self.scheduler = self._start(log, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not (found := re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text())):
            time.sleep(0.1)
        self.address = found[1]

    def join(self, **more: str) -> None:
        """Start a worker."""
        options = "--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", str(self.folder / "preload.py")
        log = self.folder / f"worker-{len(self.workers)}.log"
        self.workers.append(self._start(log, "worker", self.address, *options, DECODED=str(self.decoded), **more))

    def _start(self, log: Path, what: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
        environment = os.environ | {"EARMARK_WORKERS": "1", "OMP_NUM_THREADS": "1"} | more
        with log.open("w") as output:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=output, stderr=output)

    def done(self) -> int:
        """Return how often a shard was decoded."""
        return len(self.decoded.read_text().splitlines())

    def end(self) -> None:
        """Kill all."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def disturb(cluster: Cluster, shards: int, kills: int, chance: random.Random) -> None:
    """Kill workers as the run goes on, each time a random one, and let others join; say how much memory is taken."""
    client, scheduler = psutil.Process(), psutil.Process(cluster.scheduler.pid)
    steps = {round(shards * step / 10): f"{step}0 %" for step in range(1, 11)}
    killing = sorted(chance.sample(range(1, shards), kills))
    while cluster.done() < shards and cluster.scheduler.poll() is None:
        done = cluster.done()
        for step in [step for step in steps if step <= done]:
            rss = [process.memory_info().rss / 1e6 for process in (client, scheduler)]
            print(f"{steps.pop(step)}: client {rss[0]:.0f} MB, scheduler {rss[1]:.0f} MB", flush=True)
        while killing and killing[0] <= done:
            killing.pop(0)
            alive = [worker for worker in cluster.workers[1:] if worker.poll() is None]  # not the sick one
            chance.choice(alive).kill()
            cluster.join()
        time.sleep(0.05)


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8, help="one of them fails at everything")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, chance = Path(scratch), random.Random(args.seed)
        noise = np.random.default_rng(args.seed)
        names = [f"{number:04d}" for number in range(args.shards)]
        (folder / "audio").mkdir()
        for name in names:
            soundfile.write(folder / "audio" / f"{name}.wav", noise.uniform(-0.5, 0.5, RATE), RATE)
        cluster = Cluster(folder)
        try:
            cluster.join(SICK="1")
            for _ in range(args.workers - 1):
                cluster.join()
            os.environ |= {"EARMARK_CLUSTER": cluster.address, "EARMARK_WAVEFORMS": str(folder / "store")}
            clips = [Clip(name, f"{name}.wav", name, name, name, "train") for name in names]
            threading.Thread(target=disturb, args=(cluster, args.shards, args.kills, chance), daemon=True).start()
            start = time.perf_counter()
            counts = decode_corpus(clips, folder / "audio", RATE, WaveformConfig(samples=RATE), folder / "waveforms")
            seconds = time.perf_counter() - start
            there = waveform_store.held(folder / "store")
        finally:
            cluster.end()
        times = Counter(cluster.decoded.read_text().split())
        twice = sum(number > 1 for number in times.values())
        print(
            f"{args.shards} shards, {len(there)} there, {twice} decoded more than once, {args.kills} workers killed: "
            f"{counts['clips']} clips in {seconds:.0f} s"
        )
    return int(len(there) != args.shards)


if __name__ == "__main__":
    sys.exit(main())
