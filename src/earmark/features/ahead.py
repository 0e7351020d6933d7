"""Files are decoded ahead, while a network hears the ones before them; no more is held than a part of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from earmark.decode import pool
from earmark.features.listener import Listener

_AHEAD = 1 << 23  # samples of a file, 9 minutes at 16 kHz: the rest is decoded while it is heard

S = TypeVar("S")
R = TypeVar("R")


class DecodedAhead:
    """The blocks of a file, the first of which are there already: to be called for them, as often as they are needed.

    Raises RejectedError if the file cannot be decoded, or ends before it is long enough.
    """

    def __init__(self, listener: Listener, path: Path) -> None:
        self._begin = partial(listener.blocks, path)
        rest = self._begin()
        first: list[NDArray[np.float32] | str] = []
        samples = 0
        for block in rest:
            first.append(block)
            samples += len(block)
            if samples >= _AHEAD:
                break
        self._there: Iterator[NDArray[np.float32] | str] | None = chain(first, rest)

    def __call__(self) -> Iterator[NDArray[np.float32] | str]:
        """Begin with the first block."""
        there, self._there = self._there, None
        return self._begin() if there is None else there


def ahead(work: Callable[[S], R], items: Iterable[S]) -> Iterator[tuple[S, Future[R]]]:
    """Yield items in order, with what is made of each in a thread; no more than EARMARK_WORKERS are made, or wait."""
    number = pool.workers()
    waiting: deque[tuple[S, Future[R]]] = deque()
    with pool.threads(number) as threads:
        for item in items:
            waiting.append((item, threads.submit(work, item)))
            if len(waiting) > number:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
