"""Scattering, CQT and mel against kymatio and librosa: seconds per clip, ratios, errors, distance to the roofline."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

import numpy as np
import torch

from earmark.bench import peers, roofline
from earmark.bench.peers import Clips, Peer
from earmark.representations import build
from earmark.representations.base import Representation
from earmark.representations.cqt import CQT
from earmark.representations.mel import Mel
from earmark.representations.scattering.transform import ScatteringFeatures
from earmark.storage import memory

RATE, N_SAMPLES = 16_000, 464_000
PEER_BATCHES = {"scattering": (1, 4), "cqt": (1, 4), "mel": (1, 16)}
OURS_PER_ROUND = 3
PAUSE = 0.3  # seconds


def clips(batch: int, n_samples: int = N_SAMPLES, rate: int = RATE) -> Clips:
    """Return `batch` different clips of decaying harmonic tones in noise, float32, the same at every call."""
    noise = np.random.default_rng(0)
    t = np.arange(n_samples) / rate
    found = np.empty((batch, n_samples), dtype=np.float32)
    for i, clip in enumerate(found):
        beat = np.exp(-4.0 * np.mod(t * (1 + i / 16), 1.0))
        tone = sum(np.sin(2 * np.pi * 110 * 2 ** (i / 12) * h * t) / h for h in range(1, 9))
        clip[:] = 0.2 * beat * tone + 0.01 * noise.standard_normal(n_samples)
    return found


@contextmanager
def threads_set(threads: int | None) -> Iterator[None]:
    """Run the body on that many threads of torch, on its own number of them if `threads` is None."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def our_transform(kind: str, rate: int, n_samples: int) -> Representation:
    """Return our transform, as it is compared with the peer's."""
    more = {"normalization": "none"} if kind == "scattering" else {}
    return build(kind, rate=rate, n_samples=n_samples, **more)


def our_seconds(ours: Representation, wave: torch.Tensor) -> float:
    """Return the seconds per clip of ours on a batch of waves, over OURS_PER_ROUND runs."""
    return seconds(lambda: [ours(wave) for _ in range(OURS_PER_ROUND)]) / (len(wave) * OURS_PER_ROUND)


def make(kind: str, rate: int, n_samples: int) -> tuple[Representation, Peer, tuple[float, float]]:
    """Return our transform, the peer's, and the (FLOPs, bytes) per clip of ours."""
    ours = our_transform(kind, rate, n_samples)
    if kind == "scattering":
        transform = cast(ScatteringFeatures, ours).transform
        return ours, peers.scattering_peer(n_samples), roofline.scattering_cost(transform)
    if kind == "cqt":
        cqt = cast(CQT, ours)
        return ours, peers.cqt_peer(rate, cqt.hop), roofline.cqt_cost(cqt)
    mel = cast(Mel, ours)
    return ours, peers.mel_peer(rate, mel.n_fft, mel.hop, mel.n_dims), roofline.mel_cost(mel)


def error(kind: str, ours: Representation, wave: Clips) -> float:
    """Return the relative difference (Frobenius) between our values and the peer's on one clip.

    Scattering: our transform with kymatio's bank, against kymatio with corrected amplitudes.
    """
    x = torch.from_numpy(wave[:1])
    if kind == "scattering":
        same = {"bank": "kymatio", "padding": "exact", "normalization": "none", **peers.KYMATIO}
        ours = build(kind, rate=ours.rate, n_samples=ours.n_samples, **same)
        peer = peers.kymatio_scattering(wave.shape[1], **peers.KYMATIO)
        theirs = peer(x)[0].numpy() * peers.kymatio_gains(peer)[:, None]
        mine = ours(x)[0].numpy().T
    else:
        _, peer, _ = make(kind, ours.rate, ours.n_samples)
        theirs, mine = 10 ** (peer(wave[:1])[0] / 20), 10 ** (ours(x)[0].numpy().T / 20)
    return float(np.linalg.norm(mine - theirs) / np.linalg.norm(theirs))


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes, after a pause: another library's threads spin for a while after its last call."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench(
    kind: str, *, batch: int = 16, rounds: int = 5, threads: int | None = None, rate: int = RATE,
    n_samples: int = N_SAMPLES,
) -> dict[str, Any]:  # fmt: skip
    """Measure `kind` against its peer and return the result as a JSON-ready dict; times are seconds per clip.

    In each of `rounds` rounds the peer runs once at its best batch and ours three times at `batch`.
    """
    memory.keep()  # for both
    with threads_set(threads):
        built = seconds(lambda: build(kind, rate=rate, n_samples=n_samples))
        ours, peer, (flops, moved) = make(kind, rate, n_samples)
        data = clips(batch, n_samples, rate)
        wave = torch.from_numpy(data)
        peer_times = {b: seconds(partial(peer, data[:b])) / b for b in PEER_BATCHES[kind] if b <= batch}
        best = min(peer_times, key=peer_times.__getitem__)
        ours(wave)
        mine, theirs = [], []
        for _ in range(rounds):
            theirs.append(seconds(lambda: peer(data[:best])) / best)
            mine.append(our_seconds(ours, wave))
        return {
            "kind": kind, "batch": batch, "n_samples": n_samples, "rate": rate, "threads": torch.get_num_threads(),
            "machine": platform.processor() or platform.machine(), "torch": torch.__version__,
            "peer": f"kymatio {version('kymatio')}" if kind == "scattering" else f"librosa {version('librosa')}",
            "peer_batch": best, "construction_seconds": built, "bytes_per_clip": ours.bytes_per_clip,
            "ours": summary(mine), "theirs": summary(theirs),
            "ratio": summary([b / a for a, b in zip(mine, theirs, strict=True)]),
            "error": error(kind, ours, data), "flops_per_clip": flops, "bytes_moved_per_clip": moved,
            **roofline.machine_speed(),
        }  # fmt: skip


def summary(values: list[float]) -> dict[str, float]:
    """Return the median, the minimum, the maximum and the number of `values`."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def table(result: dict[str, Any]) -> str:
    """Return the result of `bench` as text."""
    ours, theirs, ratio = result["ours"], result["theirs"], result["ratio"]
    copy = result["bytes_moved_per_clip"] / result["copy_bytes_per_second"]
    fft = result["flops_per_clip"] / result["fft_flops_per_second"]
    lines = [
        f"{result['kind']}: {result['n_samples']} samples at {result['rate']} Hz, {result['threads']} threads, "
        f"batch {result['batch']} (peer {result['peer_batch']})",
        f"{'':16}{'median':>12}{'min':>12}{'max':>12}   of {ratio['n']}",
        *(
            f"{name:16}" + "".join(f"{1e3 * row[key]:>9.2f} ms" for key in ("median", "min", "max")) + "   per clip"
            for name, row in (("earmark", ours), (result["peer"], theirs))
        ),
        f"{'ratio':16}" + "".join(f"{ratio[key]:>11.1f}x" for key in ("median", "min", "max")),
        f"relative difference {result['error']:.1e}; built in {result['construction_seconds']:.2f} s; "
        f"{result['bytes_per_clip'] / 1e6:.0f} MB in flight per clip",
        f"roofline: {result['flops_per_clip'] / 1e6:.0f} MFLOP per clip = {1e3 * fft:.2f} ms at the FFT's "
        f"{result['fft_flops_per_second'] / 1e9:.0f} GFLOP/s; {result['bytes_moved_per_clip'] / 1e6:.0f} MB moved = "
        f"{1e3 * copy:.2f} ms at the copy's {result['copy_bytes_per_second'] / 1e9:.0f} GB/s",
    ]
    return "\n".join(lines) + "\n"
