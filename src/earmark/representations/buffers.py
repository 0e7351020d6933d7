"""How the transforms use a machine: the way that suits a CPU, chunks of clips on threads, buffers that outlive a call.

A transform has two ways to the same values. On a CPU it uses NumPy's and SciPy's faster functions, and takes a few
clips at a time, which stay in the cache. On any other device it uses torch's operators alone, and takes all clips at
once. `suits_cpu` decides, and nothing else asks for the device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_AS_ON_A_GPU: ContextVar[bool] = ContextVar("_AS_ON_A_GPU", default=False)


def suits_cpu(x: Tensor) -> bool:
    """Return whether `x` is transformed the way that suits a CPU. Every transform asks here, and nowhere else."""
    return x.device.type == "cpu" and not _AS_ON_A_GPU.get()


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """Take the way of other devices on a CPU, too, so that a machine without a GPU can test it."""
    before = _AS_ON_A_GPU.set(True)
    try:
        yield
    finally:
        _AS_ON_A_GPU.reset(before)


def over_chunks(work: Callable[[int, int], None], n: int, size: int, threads: int) -> None:
    """Call `work(first, last)` for chunks of at most `size` of n clips, on `threads` threads.

    Each thread runs torch's operators on itself alone. That scales better than threads inside every operator:
    there is no barrier after each, and a clip stays in one core's cache. The result is the same, to the last bit,
    for any number of threads.
    """
    if n == 0:
        return
    chunks = -(-n // size)
    if threads > 1:
        chunks = min(n, -(-chunks // threads) * threads)
    edges = [n * i // chunks for i in range(chunks + 1)]
    if threads == 1:
        for first, last in itertools.pairwise(edges):
            work(first, last)
        return
    before = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            list(pool.map(work, edges[:-1], edges[1:]))
        finally:
            torch.set_num_threads(before)  # what the workers set is also the default of threads to come


class Buffers:
    """Buffers by name, used again from call to call, so that their memory stays mapped and in the cache."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._held: dict[str, Tensor] = {}

    def real(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised real buffer of that shape. The same name gets the same memory."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.numel() < size:
            held = self._held[name] = torch.empty(size, dtype=self.dtype, device=self.device)
        return held[:size].view(shape)

    def complex(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised complex buffer of that shape. The same name gets the same memory."""
        return torch.view_as_complex(self.real(name, *shape, 2))


class BufferPool:
    """Lends buffers to one thread at a time and keeps them between calls. Copies and pickles are empty."""

    def __init__(self) -> None:
        self._free: list[Buffers] = []

    def __reduce__(self) -> tuple[type[BufferPool], tuple[()]]:
        return BufferPool, ()

    @contextmanager
    def lend(self, like: Tensor) -> Iterator[Buffers]:
        """Yield buffers for tensors of the type and on the device of `like`."""
        try:
            buffers = self._free.pop()
        except IndexError:
            buffers = Buffers(like.dtype, like.device)
        if (buffers.dtype, buffers.device) != (like.dtype, like.device):
            buffers = Buffers(like.dtype, like.device)
        yield buffers
        self._free.append(buffers)
