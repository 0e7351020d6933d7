"""What is kept of a wave that passes by in blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Beginning:
    """The first ``samples`` samples. padded: (samples,), zeros where none has come. length: how many have passed."""

    def __init__(self, samples: int) -> None:
        self.padded = np.zeros(samples, np.float32)
        self.length = 0

    @property
    def full(self) -> bool:
        """Whether nothing more will be kept."""
        return self.length >= len(self.padded)

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next block."""
        if not self.full:
            part = block[: len(self.padded) - self.length]
            self.padded[self.length : self.length + len(part)] = part
        self.length += len(block)

    def wave(self) -> NDArray[np.float32]:
        """Return what is kept, (up to ``samples`` samples,)."""
        return self.padded[: self.length]


class Windows:
    """The first ``samples`` samples, and as many from each of some places on, with ``margin`` more on both sides."""

    def __init__(self, places: Iterable[int], samples: int, margin: int = 0) -> None:
        self._beginning, self._size = Beginning(samples), samples
        self._begins = [max(0, place - margin) for place in places]
        self._waves = [np.zeros(samples + 2 * margin, np.float32) for _ in self._begins]

    @property
    def length(self) -> int:
        """How many samples have passed."""
        return self._beginning.length

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next block."""
        for begin, wave in zip(self._begins, self._waves, strict=True):
            offset = self.length - begin  # of the block within the window
            part = block[max(0, -offset) : max(0, len(wave) - offset)]
            wave[max(0, offset) : max(0, offset) + len(part)] = part
        self._beginning.add(block)

    def beginning(self) -> NDArray[np.float32]:
        """Return the first samples."""
        return self._beginning.wave()

    def holds(self, places: Iterable[int]) -> bool:
        """Whether all samples from each of these places on are kept."""
        return all(self._window(place) is not None for place in places)

    def at(self, place: int) -> NDArray[np.float32]:
        """Return the samples from a place on, (samples,), which must be kept."""
        window = self._window(place)
        assert window is not None
        return window

    def _window(self, place: int) -> NDArray[np.float32] | None:
        for begin, wave in zip(self._begins, self._waves, strict=True):
            if begin <= place and place + self._size <= begin + len(wave):
                return wave[place - begin : place - begin + self._size]
        return None
