"""An epoch of training on one GPU, at the size of MagnaTagATune's training split, against the bars.

`bench/gpu_train.sh` runs this. On a machine without a GPU it measures the CPU, which few clips are enough for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

import pytorch_lightning as pl
import torch
from torch import nn

from earmark import devices
from earmark.bench.training import VALID, Problem
from earmark.features import placing
from earmark.features.rows import StoredRows
from earmark.files import write_text
from earmark.training import gradient

CLIPS = 15_247  # MagnaTagATune's training clips with one of the 50 tags
BARS = {"scat-5l-512h-gru": 3.0, "scat-5l-512h-gru-fused": 3.0, "scat-4l-cnn": 10.0}  # s for an epoch on one H100
EPOCHS = 3  # of which the first warms up

Precision = Literal["float32", "bfloat16"]  # those of a recipe


class Epochs(pl.Callback):
    """The seconds of each epoch's training steps, and how many there were."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.steps = 0

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the clock."""
        devices.synchronize(devices.device())
        self._start, self.steps = time.perf_counter(), 0

    def on_train_batch_end(self, *_: object) -> None:
        """Count a step."""
        self.steps += 1

    def on_train_epoch_end(self, *_: object) -> None:
        """Stop the clock when the last step is done, and not only queued."""
        devices.synchronize(devices.device())
        self.seconds.append(time.perf_counter() - self._start)


def epoch(problem: Problem, precision: Precision, compiled: bool, epochs: int = EPOCHS) -> dict[str, Any]:
    """Return the seconds of each epoch but the first, steps per second, and the peak of the GPU's memory in bytes."""
    recipe = problem.recipe.model_copy(update={"epochs": epochs, "patience": epochs, "precision": precision})
    network: nn.Module = problem.network()
    if compiled:
        network.compile()  # in place: the names of the weights stay
    clock = Epochs()
    on_gpu = devices.device().type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    place = placing.choose(cast(StoredRows, problem.split("disk").features))
    task = gradient.Task(network, recipe, 1, problem.split(place), problem.split("memory", VALID))
    gradient.train(task, watching=[clock])
    seconds = clock.seconds[1:] or clock.seconds
    return {
        "seconds": seconds, "steps_per_second": clock.steps / min(seconds), "place": place,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else 0,
    }  # fmt: skip


def measure(systems: Sequence[str], clips: int, epochs: int = EPOCHS) -> Iterator[dict[str, Any]]:
    """Yield a row per system, precision and way: what ``epoch`` returns, its name and its bar.

    A network that cannot be compiled has its reason in place of seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in systems:
            problem = Problem(name, Path(folder), clips=clips)
            for precision in get_args(Precision):
                for compiled in (False, True):
                    row = {"name": f"{name}, {precision}{', compiled' if compiled else ''}", "bar": BARS.get(name)}
                    try:
                        row |= epoch(problem, precision, compiled, epochs)
                    except Exception as error:  # whatever the compiler raises; the rows that need none follow
                        if not compiled:
                            raise
                        row["failed"] = f"{type(error).__name__}: {error}".partition("\n")[0]
                    yield row


def line(row: dict[str, Any]) -> str:
    """Return one measurement as a line of text."""
    if "failed" in row:
        return f"{row['name']:<48} not measured: {row['failed']}"
    seconds = row["seconds"]
    bar = f"  bar {row['bar']:g} s" if row["bar"] else ""
    return (
        f"{row['name']:<48}{min(seconds):>8.2f} to {max(seconds):.2f} s an epoch, "
        f"{row['steps_per_second']:.1f} steps/s, {row['peak_bytes'] / 2**30:.1f} GiB, {row['place']}{bar}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a line per row, and write JSON if asked to. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", default=list(BARS), help="published systems (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=CLIPS, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="the first warms up (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    where = devices.device()
    told = torch.cuda.get_device_name(where) if where.type == "cuda" else f"{where}, no GPU: the bars are not for it"
    sys.stdout.write(f"{told}, torch {torch.__version__}, {args.clips} clips\n")
    rows: list[dict[str, Any]] = [{"name": "device", "device": told, "torch": torch.__version__, "clips": args.clips}]
    for row in measure(args.systems, args.clips, args.epochs):
        rows.append(row)
        sys.stdout.write(line(row) + "\n")
        sys.stdout.flush()
    if args.json is not None:
        write_text(args.json, json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
