"""Decoding on one core and on all: how much faster more cores are; and what the beginning of a long song costs."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from earmark.bench.end_to_end import corpus, timings
from earmark.bench.spectral import N_SAMPLES, RATE, summary
from earmark.config import WaveformConfig
from earmark.corpus.manifest import Clip
from earmark.decode import pool, waveform_store
from earmark.decode.audio import decode, decode_whole
from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.corpus import decode_corpus
from earmark.decode.mpeg.walk import walk

SONG = 240  # seconds
_SONG_RATE = 44_100  # Hz


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
        song = _song(folder / "song.mp3", rounds)
    return {
        "kind": "decode", "clips": len(found), "cores": len(cores),
        "machine": platform.processor() or platform.machine(), "one": summary(one), "all": summary(every),
        "ratio": summary([a / b for a, b in zip(one, every, strict=True)]),
        "clips_per_second": 1 / sorted(every)[len(every) // 2], "song": song,
    }  # fmt: skip


def _song(path: Path, rounds: int) -> dict[str, Any]:
    """Return the seconds that a song takes whole, its first 29 s, and the search for its frames, in turn."""
    second = np.random.default_rng(0).standard_normal((_SONG_RATE, 2)) / 8
    soundfile.write(path, np.tile(second, (SONG, 1)), _SONG_RATE, format="MP3", bitrate_mode="CONSTANT")
    ways: dict[str, Callable[[], object]] = {
        "whole": lambda: decode_whole(path, RATE, 1.0),
        "beginning": lambda: decode(path, RATE, N_SAMPLES, 1.0),
        "frames": lambda: _frames(path),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - start)
    ratio = [a / b for a, b in zip(taken["whole"], taken["beginning"], strict=True)]
    return {name: summary(values) for name, values in taken.items()} | {"ratio": summary(ratio)}


def _frames(path: Path) -> int:
    with path.open("rb") as file:
        return len(walk(FileBytes(file)))


def _decode(found: list[Clip], folder: Path, cores: list[int]) -> float:
    """Return the seconds that a clip takes on those cores."""
    before, named = os.sched_getaffinity(0), os.environ.pop(waveform_store.VARIABLE, None)  # the user's stays as it is
    store = waveform_store.root(folder / "waveforms")
    os.sched_setaffinity(0, cores)
    pool.close()  # its processes run on the cores on which they were started
    try:
        start = time.perf_counter()
        decode_corpus(found, folder / "audio", RATE, WaveformConfig(samples=N_SAMPLES), folder / "waveforms")
        return (time.perf_counter() - start) / len(found)
    finally:
        pool.close()
        os.sched_setaffinity(0, before)
        if named is not None:
            os.environ[waveform_store.VARIABLE] = named
        shutil.rmtree(store)  # or the next round would find all shards there
        shutil.rmtree(folder / "waveforms")


def table(result: dict[str, Any]) -> str:
    """Return the result of `bench` as text."""
    lines = [
        f"decode: {result['clips']} MP3s of 29 s to int16 HDF5, 16 kHz",
        *timings({"one core": result["one"], f"{result['cores']} cores": result["all"]}, result["ratio"]),
        f"{result['clips_per_second']:.0f} clips/s; {result['ratio']['median'] / result['cores']:.2f} of each core",
        f"an MP3 of {SONG} s, 44.1 kHz, stereo:",
        *timings({name: result["song"][name] for name in ("whole", "beginning", "frames")}, result["song"]["ratio"]),
    ]
    return "\n".join(lines) + "\n"
