"""Where the transforms compute: chunks of clips on threads, and buffers that outlive a call."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor


def over_chunks(work: Callable[[int, int], None], n: int, size: int, threads: int) -> None:
    """Call `work(first, last)` for chunks of at most `size` of n clips, on `threads` threads.

    Each thread runs torch's operators on itself alone. That scales better than threads inside every operator:
    no barrier after each, and a clip stays in one core's cache. It also leaves the result, to the last bit,
    independent of the number of threads.
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


class Workspace:
    """Buffers by name, reused from call to call so that the memory stays mapped and in cache."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._held: dict[str, Tensor] = {}

    def real(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised real buffer of that shape; the same memory for the same name."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.numel() < size:
            held = self._held[name] = torch.empty(size, dtype=self.dtype, device=self.device)
        return held[:size].view(shape)

    def complex(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised complex buffer of that shape; the same memory for the same name."""
        return torch.view_as_complex(self.real(name, *shape, 2))


class Workspaces:
    """Lends a workspace to one thread at a time and keeps it between calls. Copies and pickles are empty."""

    def __init__(self) -> None:
        self._free: list[Workspace] = []

    def __reduce__(self) -> tuple[type[Workspaces], tuple[()]]:
        return Workspaces, ()

    @contextmanager
    def lend(self, like: Tensor) -> Iterator[Workspace]:
        """Yield a workspace for tensors of the type and on the device of `like`."""
        try:
            space = self._free.pop()
        except IndexError:
            space = Workspace(like.dtype, like.device)
        if (space.dtype, space.device) != (like.dtype, like.device):
            space = Workspace(like.dtype, like.device)
        yield space
        self._free.append(space)
