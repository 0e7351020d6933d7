"""The devices of a process, each given to one shard at a time: a worker with several GPUs has a thread for each."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from earmark import devices

_busy = set[torch.device]()
_freed = threading.Condition()


def usable() -> list[torch.device]:
    """Return the devices that shards may be computed on: all GPUs of the first one's kind, or the one device in use.

    EARMARK_DEVICE=cuda:N names one GPU alone. Another kind of GPU would give other bytes, and is left alone.
    """
    first = devices.device()
    if first.type != "cuda" or ":" in os.environ.get("EARMARK_DEVICE", ""):
        return [first]
    every = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    return [each for each in every if devices.kind(each) == devices.kind(first)]


@contextmanager
def one() -> Iterator[torch.device]:
    """Give a device to this thread alone; wait until one is free. A transform uses all of a GPU, or all cores."""
    found = usable()

    def free() -> torch.device | None:
        return next((each for each in found if each not in _busy), None)

    with _freed:
        _freed.wait_for(lambda: free() is not None)
        device = free()
        assert device is not None
        _busy.add(device)
    try:
        yield device
    finally:
        with _freed:
            _busy.discard(device)
            _freed.notify_all()
