"""What training can afford on this machine: the batch that fits into memory, the epochs that fit into a time.

Both are found by trying a few steps before training begins.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from earmark import devices, progress
from earmark.evaluation import scoring
from earmark.experiments import Recipe
from earmark.features.dataset import Batches, Split
from earmark.storage import memory
from earmark.training import recipes
from earmark.training.plan import Plan

# Training takes several times the memory that a step keeps for its backward pass: for gradients, for the convolutions'
# own copies, for the scoring of twice as many clips, and for gaps in the heap. sample-cnn-song, whose memory is all
# activations, took 2.4 to 3.3 times as much on a CPU (batches of 4 and 8).
TIMES_KEPT = 4


def fitting(name: str, plan: Plan, seed: int, train: Split, valid: Split, minutes: float | None) -> dict[str, int]:
    """Return the changes of a recipe that make it fit into memory and time: ``batch``, ``epochs``, both or none.

    The batch (clips) is halved until a step fits into the free memory of the device; a line on standard error says so.
    The epochs are those of the recipe that fit into ``minutes`` with their validations, at least one; None is no limit.
    A network that fits itself has neither batch nor epochs.
    """
    model = plan.build(len(train.tags), *train.features.shape[1:])
    recipe = plan.recipe
    if recipe is None:
        return {}
    memory.keep()
    model = model.to(devices.device())
    frames = recipe.frames(train.features.shape[1])
    batch = _largest_batch(name, model, recipe, Batches(train, 2, seed, frames))
    changes = {"batch": batch} if batch < recipe.batch else {}
    if minutes is not None:
        batches = Batches(train, batch, seed, frames)
        seconds = _seconds_of_an_epoch(model, recipes.optimizer(recipe, model), batches, valid)
        changes["epochs"] = max(1, min(recipe.epochs, int(60 * minutes / seconds)))
    memory.give_back()
    return changes


def _largest_batch(name: str, model: nn.Module, recipe: Recipe, pairs: Batches) -> int:
    """Return the recipe's batch, halved until a step fits into the free memory; if it is halved, print a line.

    pairs: the training clips in batches of two.
    """
    device = devices.device()
    features, targets = pairs[0]
    free = devices.free_bytes(device)
    each = TIMES_KEPT * kept_bytes(model, features.to(device), targets.to(device)) // len(features)
    least = 2 + len(pairs.split.targets) % 2  # of an odd number, batches of two would leave one alone
    batch = recipe.batch
    while batch > least and batch * each > free:
        batch = max(least, batch // 2)
    if batch < recipe.batch:
        print(
            f"{name}: batches of {batch} clips, not {recipe.batch}: a clip takes about {each / 2**30:.2f} GB of "
            f"memory, and {free / 2**30:.1f} GB are free",
            file=sys.stderr,
        )
    return batch


def kept_bytes(model: nn.Module, features: Tensor, targets: Tensor) -> int:
    """Return the bytes that a training step keeps from its forward for its backward pass, without the weights.

    features: (batch, frames, dims); targets: (batch, tags).
    """
    weights = {w.untyped_storage().data_ptr() for w in model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        recipes.loss(model(features), targets)
    return sum(size for address, size in kept.items() if address not in weights)


def _seconds_of_an_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Batches, valid: Split) -> float:
    """Return the seconds of an epoch and its validation, estimated from a few steps and the scoring of one batch."""
    device = devices.device()
    features, targets = (tensor.to(device) for tensor in batches[0])
    few = valid.features[: 2 * batches.size].to(device)

    def step() -> None:
        optimizer.zero_grad()
        recipes.loss(model(features), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def score() -> None:
        scoring.score(model, few, batches.frames)

    learning = _seconds(step, 3, device) * len(batches)
    model.eval()
    return learning + _seconds(score, 1, device) * len(valid.features) / len(few)


def _seconds(work: Callable[[], object], times: int, device: torch.device) -> float:
    """Return the seconds that ``work`` takes on the device: the median of ``times`` runs after a first, slower one."""
    taken = []
    for _ in range(1 + times):
        watch = progress.Stopwatch()
        work()
        devices.synchronize(device)
        taken.append(watch.seconds())
    return statistics.median(taken[1:])
