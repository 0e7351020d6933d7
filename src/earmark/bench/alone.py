"""A transform or a training step without its peer, for a look at what other processes cost it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.bench.choices import TRANSFORMS
from earmark.bench.spectral import N_SAMPLES, RATE, clips, our_seconds, our_transform, summary, threads_set
from earmark.bench.training import Problem, step_seconds
from earmark.storage import memory


def bench(
    kind: str, *, batch: int, rounds: int, threads: int | None, systems: Sequence[str], steps: int
) -> dict[str, Any]:
    """Measure ``kind``, a transform or ``train``, and return the result as a JSON-ready dict.

    Its rows are seconds per clip of the transform, or per step of each of the systems.
    """
    memory.keep()
    with threads_set(threads):
        rows = _transform(kind, batch, rounds) if kind in TRANSFORMS else _steps(systems, steps, rounds)
    return {"kind": kind, "rows": {name: summary(taken) for name, taken in rows.items()}}


def _transform(kind: str, batch: int, rounds: int) -> dict[str, list[float]]:
    ours, wave = our_transform(kind, RATE, N_SAMPLES), torch.from_numpy(clips(batch))
    ours(wave)
    return {kind: [our_seconds(ours, wave) for _ in range(rounds)]}


def _steps(systems: Sequence[str], steps: int, rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        problems = {name: Problem(name, Path(folder), steps) for name in systems}
        return {name: [step_seconds(one, "memory") for _ in range(rounds)] for name, one in problems.items()}


def table(result: dict[str, Any]) -> str:
    """Return the result of ``bench`` as text."""
    rows = result["rows"].items()
    return "".join(f"{name:20} {1e3 * row['median']:>9.2f} ms, median of {row['n']}\n" for name, row in rows)
