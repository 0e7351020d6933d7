"""Training in several processes: how many, what each one takes of a batch, and which one writes.

EARMARK_DEVICES counts processes (GPUs) per machine and EARMARK_NODES machines; under torchrun its own environment says
it. Every process holds all features, draws the same batches and takes every n-th row. Gradients are averaged so that a
step is that of one process on the whole batch, to rounding; batch norm sees only its process's rows, and dropout draws
other numbers.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch.distributed
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from earmark.environment import count
from earmark.errors import EarmarkError

T = TypeVar("T")


def settings() -> dict[str, Any]:
    """What Lightning's Trainer is told where several processes train; nothing for one."""
    local, world = count("LOCAL_WORLD_SIZE", 1), count("WORLD_SIZE", 1)  # set by torchrun alone
    under_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    devices = local if under_torchrun else count("EARMARK_DEVICES", 1)
    nodes = world // local if under_torchrun else count("EARMARK_NODES", 1)
    if devices * nodes == 1:
        return {}
    return {"devices": devices, "num_nodes": nodes, "strategy": "ddp", "use_distributed_sampler": False}


def processes() -> int:
    """How many processes will train together."""
    wanted = settings()
    return int(wanted.get("devices", 1) * wanted.get("num_nodes", 1))


def is_main() -> bool:
    """Whether this process is the one that writes: the only one, or the first of several."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def _rank_and_size() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def shard_batch(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, float]:
    """The rows that this process takes of a batch, and the weight of their mean loss.

    DDP averages gradients over processes; weighted so, that is the mean over the rows of the batch, however many each
    process has. Raises EarmarkError where there are fewer rows than processes.
    """
    rank, size = _rank_and_size()
    if len(features) < size:
        raise EarmarkError(
            f"a batch must hold a clip for each of {size} processes, got {len(features)}: a larger `batch`, or fewer "
            "EARMARK_DEVICES"
        )
    mine = features[rank::size]
    return mine, targets[rank::size], len(mine) * size / len(features)


def is_my_batch(batch: int) -> bool:
    """Whether this process takes the piece of work of that number."""
    rank, size = _rank_and_size()
    return batch % size == rank


def gather(items: list[T]) -> list[T]:
    """The items of all processes, in the order of these; the same list in each."""
    _, size = _rank_and_size()
    if size == 1:
        return items
    found: list[Any] = [None] * size
    torch.distributed.all_gather_object(found, items)
    return [item for part in found for item in part]
