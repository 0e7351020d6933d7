"""From MP3s to three representations in HDF5, against the loop over librosa and kymatio that one would write."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soundfile
import torch

from earmark import representations
from earmark.bench.choices import TRANSFORMS
from earmark.bench.spectral import N_SAMPLES, RATE, clips, make, summary, threads_set
from earmark.config import RepresentationConfig, WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode.corpus import WaveformShard
from earmark.decode.pool import workers
from earmark.features.extract import Extractor
from earmark.storage import memory

SHARDS = 4
PEER_CLIPS = 3
Seconds = dict[str, float]


def corpus(folder: Path, batch: int) -> list[Clip]:
    """Write SHARDS folders of `batch` MP3s like MagnaTagATune's: mono, 16 kHz, 32 kbit/s. Return their clips."""
    found = []
    for number, wave in enumerate(clips(SHARDS * batch)):
        shard, name = f"{number // batch}", f"{number // batch}/clip-{number}.mp3"
        (folder / shard).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, wave, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.84)
        found.append(Clip(f"{number}", name, shard, song=f"{number}", artist="", split="train"))
    return found


class Pipeline:
    """Ours: a shard is decoded on all cores while the one before it is transformed and written."""

    def __init__(self, found: list[Clip], audio: Path, threads: int | None) -> None:
        self.shards = [[c for c in found if c.shard == f"{k}"] for k in range(SHARDS)]
        self.audio, self.workers = audio, threads or workers()
        configs = [RepresentationConfig(kind=kind, rate=RATE, samples=N_SAMPLES) for kind in TRANSFORMS]
        self.engines = {config.kind: Extractor(representations.resolve(config)) for config in configs}

    def run(self, out: Path) -> Seconds:
        """Write all features under `out`, and return the seconds of each part and of the whole."""
        start = time.perf_counter()
        config = WaveformConfig(samples=N_SAMPLES)
        spent: Seconds = {"decode": 0.0}
        for engine in self.engines.values():
            engine.seconds = dict.fromkeys(engine.seconds, 0.0)

        def decode(members: list[Clip]) -> Path:
            begun = time.perf_counter()
            shard = WaveformShard.of(members[0].shard, members, self.audio, RATE, config, out / "waveforms", pool)
            shard.write(pool, lambda _: None)
            spent["decode"] += time.perf_counter() - begun
            return shard.path

        with ThreadPoolExecutor(self.workers) as pool, ThreadPoolExecutor(1) as ahead:
            for source in ahead.map(decode, self.shards):
                for kind, engine in self.engines.items():
                    engine.run(source, out / kind / source.name, "bench", lambda _: None)
        for what in ("read", "transform", "write"):
            spent[what] = sum(engine.seconds[what] for engine in self.engines.values())
        return {**spent, "all": time.perf_counter() - start}


class Loop:
    """The peer, one clip after the other: librosa.load, kymatio, librosa's mel and CQT, a row of an HDF5 file each."""

    def __init__(self) -> None:
        self.transforms = {kind: make(kind, RATE, N_SAMPLES)[1] for kind in TRANSFORMS}

    def run(self, audio: Path, found: list[Clip], out: Path) -> float:
        """Write the features of the clips to `out`, and return the seconds that it took."""
        import librosa

        start = time.perf_counter()
        with h5py.File(out, "w") as file:
            for number, clip in enumerate(found):
                wave, _ = librosa.load(audio / clip.path, sr=RATE, mono=True)
                wave = librosa.util.fix_length(wave, size=N_SAMPLES)
                for kind, transform in self.transforms.items():
                    row = transform(wave[None])[0].T.astype(np.float32)
                    if kind not in file:
                        file.create_dataset(kind, (len(found), *row.shape), "f4")
                    file[kind][number] = row
        return time.perf_counter() - start


def bench(*, batch: int = 16, rounds: int = 5, threads: int | None = None) -> dict[str, Any]:
    """Measure both and return the result as a JSON-ready dict; times are seconds per clip.

    In each of `rounds` rounds the loop runs over PEER_CLIPS clips and ours over SHARDS shards of `batch`.
    """
    memory.keep()  # for both
    with threads_set(threads), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = corpus(folder / "audio", batch)
        pipeline, loop = Pipeline(found, folder / "audio", threads), Loop()
        pipeline.run(folder / "features")
        loop.run(folder / "audio", found[:1], folder / "loop.h5")
        mine, theirs, parts = [], [], []
        for _ in range(rounds):
            theirs.append(loop.run(folder / "audio", found[:PEER_CLIPS], folder / "loop.h5") / len(found[:PEER_CLIPS]))
            shutil.rmtree(folder / "features")
            parts.append(pipeline.run(folder / "features"))
            mine.append(parts[-1]["all"] / len(found))
        middle = parts[mine.index(sorted(mine)[len(mine) // 2])]
        return {
            "kind": "extract", "batch": batch, "clips": len(found), "threads": torch.get_num_threads(),
            "device": str(pipeline.engines["mel"].device), "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__, "peer": f"librosa {version('librosa')} + kymatio {version('kymatio')}",
            "ours": summary(mine), "theirs": summary(theirs),
            "ratio": summary([b / a for a, b in zip(mine, theirs, strict=True)]),
            "clips_per_second": 1 / sorted(mine)[len(mine) // 2],
            "share": {what: spent / middle["all"] for what, spent in middle.items() if what != "all"},
        }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """Return the result of `bench` as text."""
    share = ", ".join(f"{what} {100 * part:.0f} %" for what, part in result["share"].items())
    lines = [
        f"extract: MP3 to scattering, mel and CQT in HDF5, {result['clips']} clips of 29 s, "
        f"{result['threads']} threads, {result['device']}; the loop is {result['peer']}",
        *timings({"earmark": result["ours"], "the loop": result["theirs"]}, result["ratio"]),
        f"{result['clips_per_second']:.0f} clips/s; of the time: {share} (they overlap)",
    ]
    return "\n".join(lines) + "\n"


def timings(rows: dict[str, dict[str, Any]], ratio: dict[str, Any]) -> list[str]:
    """Return lines with the seconds per clip of each row, and their ratio."""
    keys = ("median", "min", "max")
    lines = [f"{'':16}" + "".join(f"{key:>12}" for key in keys) + f"   of {ratio['n']}"]
    for name, row in rows.items():
        lines.append(f"{name:16}" + "".join(f"{1e3 * row[key]:>9.2f} ms" for key in keys) + "   per clip")
    return [*lines, f"{'ratio':16}" + "".join(f"{ratio[key]:>11.2f}x" for key in keys)]
