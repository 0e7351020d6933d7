"""A step of training: its data alone, its model alone, both, and the loop over a DataLoader that one would write."""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from earmark import devices, representations
from earmark.bench import choices
from earmark.bench.spectral import summary, threads_set
from earmark.corpus.label_table import Labelled
from earmark.experiments import Recipe
from earmark.features import placing, rows
from earmark.features.dataset import Batches, Split
from earmark.features.standardize import Standardizer
from earmark.models import networks
from earmark.storage import memory, shards
from earmark.systems.published import SYSTEMS
from earmark.training import gradient, recipes

SHARDS, TAGS, VALID = 4, 50, 4


class Problem:
    """Made-up features of a published system on disk, at least as many clips as ``steps`` of its quick recipe hear."""

    def __init__(self, name: str, folder: Path, steps: int = 1, clips: int = 0) -> None:
        system = SYSTEMS[name]
        recipe = system.recipe_of(published=False)
        if recipe is None:
            raise ValueError(f"{name} fits itself and takes no steps")
        heard = representations.of(system.representation.config(), name)
        plain = {"mixup": 0.0, "jitter": 0.0, "masks": 0, "mask_frames": 0.0, "mask_dims": 0.0}
        self.recipe: Recipe = recipe.model_copy(update={"epochs": 1, "patience": 1, "weights": "last", **plain})
        self.shape = (heard.n_frames, heard.n_dims)
        self.frames = self.recipe.frames(heard.n_frames)
        self.family, self.options = system.family, networks.resolve(system.family, dict(system.options), name)
        passes = max(1, round(heard.n_frames / self.frames))
        self.clips = max(2 * VALID, clips, -(-steps // passes) * self.recipe.batch)
        self.folder = folder / name
        draws = np.random.default_rng(1)
        each = -(-self.clips // SHARDS)
        for number in range(SHARDS):
            with shards.ShardWriter(self.folder / f"{number}.h5", "features", each, self.shape, np.float32) as writer:
                for row in range(each):
                    writer.append([f"{number}-{row}"], draws.standard_normal((1, *self.shape), np.float32))
        self.clips = each * SHARDS
        self.names = [f"{i % SHARDS}-{i // SHARDS}" for i in range(self.clips)]
        self.targets = (draws.random((self.clips, TAGS)) < 0.3).astype(np.float32)
        self.targets[:VALID] = np.arange(VALID)[:, None] % 2
        self.standardizer = Standardizer(np.zeros(self.shape[1], np.float32), np.ones(self.shape[1], np.float32), 1)

    def network(self) -> nn.Module:
        """Return the system's network with the same first weights each time."""
        torch.manual_seed(1)
        return networks.network(self.family, TAGS, self.frames, self.shape[1], self.options)

    def split(self, place: placing.Place, clips: int | None = None) -> Split:
        """Return the first clips as a split, held in a place."""
        names = self.names[:clips]
        _, stored = rows.find(self.folder, names, self.standardizer)
        who = tuple(Labelled(name, name, "", "train") for name in names)
        targets = torch.from_numpy(self.targets[: len(names)])
        return Split(placing.held(stored, place), targets, who, tuple(map(str, range(TAGS))), 0, stored.mark)


class Clock(pl.Callback):
    """The seconds from the end of a step to the end of the next one."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        """Note the time."""
        devices.synchronize(devices.device())
        self.ends.append(time.perf_counter())

    @property
    def median(self) -> float:
        """Seconds per step, without the first one."""
        return statistics.median(np.diff(self.ends))


class Items(Dataset[tuple[Tensor, Tensor]]):
    """The peer's data: a clip is read from HDF5 when a worker asks for it."""

    def __init__(self, problem: Problem, items: int) -> None:
        self.problem, self.items = problem, items

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        p = self.problem
        index %= p.clips
        start = int(np.random.default_rng(index).integers(0, p.shape[0] - p.frames + 1))
        with h5py.File(p.folder / f"{index % SHARDS}.h5", "r") as file:
            row: NDArray[np.float32] = file["features"][index // SHARDS, start : start + p.frames]
        row = (row - p.standardizer.mean) * p.standardizer.inverse_std
        return torch.from_numpy(row), torch.from_numpy(p.targets[index])


class Plain(pl.LightningModule):
    """The peer's module: a network, binary cross-entropy and the recipe's optimizer."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch."""
        return nn.functional.binary_cross_entropy_with_logits(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimizer."""
        return recipes.optimizer(self.recipe, self.network)


def bench(
    *, systems: Sequence[str] = choices.SYSTEMS, steps: int = 12, rounds: int = 3, threads: int | None = None
) -> dict[str, Any]:
    """Measure steps of some systems and return the result as a JSON-ready dict; times are seconds per step.

    In each of ``rounds`` rounds all parts are measured one after the other; a time is the median over ``steps``.
    """
    memory.keep()
    found = {}
    with threads_set(threads), tempfile.TemporaryDirectory() as folder:
        for name in systems:
            problem = Problem(name, Path(folder), steps)
            taken = [_round(problem, steps) for _ in range(rounds)]
            parts = {key: summary([one[key] for one in taken]) for key in taken[0]}
            ratio = summary([one["loop"] / one["both, memory"] for one in taken])
            found[name] = {"parts": parts, "ratio": ratio, "batch": problem.recipe.batch, "shape": problem.shape}
    return {
        "kind": "train", "systems": found, "steps": steps, "threads": torch.get_num_threads(),
        "device": str(devices.device()), "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__, "lightning": version("pytorch-lightning"),
    }  # fmt: skip


def _round(problem: Problem, steps: int) -> dict[str, float]:
    """Return the seconds per step of each part, each measured alone."""
    found = {}
    for place in get_args(placing.Place):
        found[f"data, {place}"] = _data(problem, place)
    found["model"] = _model(problem)
    for place in get_args(placing.Place):
        found[f"both, {place}"] = step_seconds(problem, place)
    found["loop"] = _loop(problem, steps)
    return found


def _data(problem: Problem, place: placing.Place) -> float:
    """Seconds per batch of the data alone; on disk nothing is computed meanwhile that would hide the reading."""
    batches = Batches(problem.split(place), problem.recipe.batch, 1, problem.frames)
    for _ in batches:  # the page cache is warm then
        pass
    start = time.perf_counter()
    for _ in batches:
        pass
    return (time.perf_counter() - start) / len(batches)


def _model(problem: Problem) -> float:
    """Seconds per step on one batch."""
    where = devices.device()
    network = problem.network().to(where)
    optimizer = recipes.optimizer(problem.recipe, network)
    features, targets = Batches(problem.split("memory"), problem.recipe.batch, 1, problem.frames)[0]
    features, targets = features.to(where), targets.to(where)
    taken = []
    for _ in range(4):
        start = time.perf_counter()
        optimizer.zero_grad()
        recipes.loss(network(features), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        devices.synchronize(where)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def step_seconds(problem: Problem, place: placing.Place) -> float:
    """Seconds per step of an epoch as the pipeline trains it."""
    clock = Clock()
    task = gradient.Task(problem.network(), problem.recipe, 1, problem.split(place), problem.split("memory", VALID))
    gradient.train(task, watching=[clock])
    return clock.median


def _loop(problem: Problem, steps: int) -> float:
    """Seconds per step of the peer, with two workers that read."""
    clock = Clock()
    with gradient.quiet():
        trainer = pl.Trainer(
            max_epochs=1, callbacks=[clock], logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, **devices.lightning(devices.device()),
        )  # fmt: skip
        items = Items(problem, max(3, steps) * problem.recipe.batch)
        loader = DataLoader(items, problem.recipe.batch, shuffle=True, num_workers=2)
        trainer.fit(Plain(problem.network(), problem.recipe), loader)
    return clock.median


def table(result: dict[str, Any]) -> str:
    """Return the result of ``bench`` as text."""
    lines = [
        f"train: seconds per step, {result['threads']} threads, {result['device']}, torch {result['torch']}; the loop "
        f"is Lightning {result['lightning']} with a DataLoader of two workers that read a clip at a time"
    ]
    for name, one in result["systems"].items():
        parts, ratio = one["parts"], one["ratio"]
        step = parts["both, memory"]["median"]
        lines.append(f"{name}: batches of {one['batch']}, clips of {one['shape'][0]} x {one['shape'][1]}")
        for key, row in parts.items():
            told = f", {row['median'] / step:.1%} of a step" if key.startswith("data") else ""
            lines.append(f"  {key:14} {1e3 * row['median']:>9.2f} ms{told}")
        lines.append(f"  the loop takes {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}) times as long")
    return "\n".join(lines) + "\n"
