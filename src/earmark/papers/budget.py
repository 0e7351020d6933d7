"""What training a system takes on this machine: the batch that fits into memory, the epochs that fit into a budget.

Both are found by trying a step or two before training begins.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from earmark import devices, progress
from earmark.config import ExperimentConfig
from earmark.evaluation import scoring
from earmark.features.dataset import Batches, Split
from earmark.models.networks import SelfFitting
from earmark.storage import memory
from earmark.systems import published
from earmark.systems.published import System
from earmark.training import recipes
from earmark.training.fit import recipe_of
from earmark.training.recipes import Recipe

# Training takes more than what a step keeps for its backward pass: gradients, the convolutions' own copies, the scoring
# of twice as many clips, and gaps in the heap. sample-cnn-song, whose memory is all activations, took 2.4 to 3.3 times
# as much on a CPU (batches of 4 and 8).
TIMES_KEPT = 4


def fitting(
    system: System, experiment: ExperimentConfig, train: Split, valid: Split, minutes: float | None
) -> dict[str, int]:
    """What to change of an experiment so that it fits: ``batch`` (clips), if the recipe's is too large, and ``epochs``.

    The batch is halved until a step fits into the free memory of the device, which is said on standard error. Of the
    recipe's epochs as many are left as fit into ``minutes`` with their validations, at least one; all, where that is
    None. A network that fits itself has neither, and nothing is changed.
    """
    frames, dims = train.features.shape[1:]
    model = published.build(system.name, len(train.tags), published.network_frames(system, frames), dims)
    if isinstance(model, SelfFitting):
        return {}
    recipe = recipe_of(system, experiment, frames)
    memory.keep()
    model = model.to(devices.device())
    batch = _largest_batch(system.name, model, recipe, train, experiment.seed)
    changes = {"batch": batch} if batch < recipe.batch else {}
    if minutes is not None:
        batches = Batches(train, batch, experiment.seed, recipe.excerpt)
        seconds = _seconds_of_an_epoch(model, recipes.optimizer(recipe, model), batches, valid)
        changes["epochs"] = max(1, min(recipe.epochs, int(60 * minutes / seconds)))
    memory.give_back()
    return changes


def _largest_batch(name: str, model: nn.Module, recipe: Recipe, train: Split, seed: int) -> int:
    """Halve the recipe's batch until a step on it fits into the free memory; say so on standard error if it is less."""
    device = devices.device()
    features, targets = Batches(train, 2, seed, recipe.excerpt)[0]
    free = devices.free_bytes(device)
    each = TIMES_KEPT * kept_bytes(model, features.to(device), targets.to(device)) // len(features)
    least = 2 + len(train.targets) % 2  # an odd number in twos would leave one alone, which batch norm cannot take
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
    """Bytes that a training step on a batch keeps from its forward for its backward pass, the weights left out."""
    weights = {w.untyped_storage().data_ptr() for w in model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        F.binary_cross_entropy_with_logits(model(features), targets)
    return sum(size for address, size in kept.items() if address not in weights)


def _seconds_of_an_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Batches, valid: Split) -> float:
    """Its steps and its validation, from a few steps and the scoring of one batch."""
    device = devices.device()
    features, targets = (tensor.to(device) for tensor in batches[0])
    few = valid.features[: 2 * batches.size].to(device)

    def step() -> None:
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(features), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def score() -> None:
        scoring.score(model, few, batches.frames)

    learning = _seconds(step, 3, device) * len(batches)
    model.eval()
    return learning + _seconds(score, 1, device) * len(valid.features) / len(few)


def _seconds(work: Callable[[], object], times: int, device: torch.device) -> float:
    """How long it takes, the median of ``times`` after a first, slower one; until it is done on the device."""
    taken = []
    for _ in range(1 + times):
        watch = progress.Stopwatch()
        work()
        devices.synchronize(device)
        taken.append(watch.seconds())
    return statistics.median(taken[1:])
