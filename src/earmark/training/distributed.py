"""Training in several processes: how many there are, which rows of a batch each one takes, and which one writes.

EARMARK_DEVICES is the number of processes (GPUs) per machine and EARMARK_NODES the number of machines; under torchrun
both come from its environment. Every process draws the same batches, takes every n-th row, and reads no other unless
clips are blended with each other (mixup).
Gradients are averaged so that a step equals that of one process on the whole batch, up to rounding. But batch norm sees
only the rows of its own process, and each process draws its own dropout.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

import torch.distributed
from pytorch_lightning.utilities import rank_zero_only

from earmark.environment import count
from earmark.errors import EarmarkError

T = TypeVar("T")


def settings() -> dict[str, Any]:
    """Return the arguments of Lightning's Trainer for several processes, empty for one."""
    local, world = count("LOCAL_WORLD_SIZE", 1), count("WORLD_SIZE", 1)  # set by torchrun alone
    under_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    devices = local if under_torchrun else count("EARMARK_DEVICES", 1)
    nodes = world // local if under_torchrun else count("EARMARK_NODES", 1)
    if devices * nodes == 1:
        return {}
    return {"devices": devices, "num_nodes": nodes, "strategy": "ddp", "use_distributed_sampler": False}


def processes() -> int:
    """Return how many processes will train together."""
    wanted = settings()
    return int(wanted.get("devices", 1) * wanted.get("num_nodes", 1))


def on_this_machine() -> int:
    """Return how many of them train on this machine."""
    return int(settings().get("devices", 1))


def is_main() -> bool:
    """Tell whether this process is the one that writes: the only one, or the first of several."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def _rank_and_size() -> tuple[int, int]:
    """Return the number of this process, from 0, and how many there are."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def share() -> slice:
    """Return which rows of every batch this process takes."""
    rank, size = _rank_and_size()
    return slice(rank, None, size)


def weight_of_share(clips: int) -> float:
    """Return the weight of the mean loss of the rows that this process takes of a batch of so many clips.

    DDP averages gradients over processes. With these weights the average is the mean over all rows of the batch, even
    if some processes have more rows than others.

    Raises EarmarkError if there are fewer rows than processes.
    """
    rank, size = _rank_and_size()
    if clips < size:
        raise EarmarkError(
            f"a batch must hold a clip for each of {size} processes, got {clips}: a larger `batch`, or fewer "
            "EARMARK_DEVICES"
        )
    return len(range(rank, clips, size)) * size / clips


def is_my_batch(batch: int) -> bool:
    """Tell whether this process takes the batch of that number."""
    rank, size = _rank_and_size()
    return batch % size == rank


def gather(items: list[T]) -> list[T]:
    """Return the items of all processes, those of the first process first; every process gets the same list."""
    _, size = _rank_and_size()
    if size == 1:
        return items
    found: list[Any] = [None] * size
    torch.distributed.all_gather_object(found, items)
    return [item for part in found for item in part]
