"""Decoding on one core and on all: how much faster more cores are."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from earmark.bench.end_to_end import corpus, timings
from earmark.bench.spectral import N_SAMPLES, RATE, summary
from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode.corpus import decode_corpus


def bench(*, batch: int = 64, rounds: int = 5) -> dict[str, Any]:
    """Decode four shards of `batch` clips, on one core and on all in turn, and return what was measured.

    The result is a JSON-ready dict; times are seconds per clip.
    """
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = corpus(folder / "audio", batch)
        one, every = [], []
        _decode(found, folder, cores)
        for _ in range(rounds):
            one.append(_decode(found, folder, cores[:1]))
            every.append(_decode(found, folder, cores))
    return {
        "kind": "decode", "clips": len(found), "cores": len(cores),
        "machine": platform.processor() or platform.machine(), "one": summary(one), "all": summary(every),
        "ratio": summary([a / b for a, b in zip(one, every, strict=True)]),
        "clips_per_second": 1 / sorted(every)[len(every) // 2],
    }  # fmt: skip


def _decode(found: list[Clip], folder: Path, cores: list[int]) -> float:
    """Return the seconds that a clip takes on those cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        start = time.perf_counter()
        decode_corpus(found, folder / "audio", RATE, WaveformConfig(samples=N_SAMPLES), folder / "waveforms")
        return (time.perf_counter() - start) / len(found)
    finally:
        os.sched_setaffinity(0, before)
        shutil.rmtree(folder / "waveforms")


def table(result: dict[str, Any]) -> str:
    """Return the result of `bench` as text."""
    lines = [
        f"decode: {result['clips']} MP3s of 29 s to int16 HDF5, 16 kHz",
        *timings({"one core": result["one"], f"{result['cores']} cores": result["all"]}, result["ratio"]),
        f"{result['clips_per_second']:.0f} clips/s; {result['ratio']['median'] / result['cores']:.2f} of each core",
    ]
    return "\n".join(lines) + "\n"
