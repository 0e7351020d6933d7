"""Which files of a corpus are one recording: candidates by nearest neighbours, which are then laid over each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from earmark.duplicates.fingerprint import HOP, RATE, Fingerprint

SUSPECT = 0.27  # of the bits differ: copies have less, other recordings more (docs/corpora.md has the figures)
UNRELATED = 0.5
QUERIES = 4  # windows of a file whose neighbours are looked for, evenly spaced
NEIGHBOURS = 32  # windows; those of the file itself are among them
CANDIDATES = 3  # files of other songs by a window, the nearest ones
OVERLAP = 100  # frames, 6.4 s, that two files must have in common; all of a shorter one
HEARD = 0.2  # of the bits in common that must tell something
_BLOCK = 4096  # windows whose neighbours are looked for at one time


@dataclass(frozen=True)
class Match:
    """Two files by their places. distance: the share of their bits that differ, where they fit best.

    seconds: how much later than the first file the second one begins, in the time of the recording.
    """

    distance: float
    first: int
    second: int
    seconds: float


def matches(
    prints: Sequence[Fingerprint | None], songs: Sequence[str], done: Callable[[int], object] = lambda _: None
) -> list[Match]:
    """Return all pairs of files of different songs that sound the same, the nearest first.

    prints: of every file; None for one that cannot be heard. songs: the song of every file. done: is told how many more
    windows have been compared.
    """
    suspects = sorted(set(_candidates(prints, songs, done)))
    size = 2 << max((len(one.grown) for one in prints if one is not None), default=1).bit_length()
    spectra = lru_cache(maxsize=64)(lambda place: _Spectrum.of(prints[place], size))  # pairs of one file come together
    found = []
    for first, second in suspects:
        distance, frames = spectra(first).distance(spectra(second))
        if distance < SUSPECT:
            found.append(Match(distance, first, second, frames * HOP / RATE))
    return sorted(found, key=lambda match: (match.distance, match.first, match.second))


def windows_compared(prints: Sequence[Fingerprint | None]) -> int:
    """Return how many windows ``matches`` looks for neighbours of."""
    return sum(len(_queries(one)) for one in prints if one is not None)


def _queries(one: Fingerprint) -> NDArray[np.int64]:
    count = len(one.windows)
    return np.unique(np.linspace(0, count - 1, min(QUERIES, count)).round().astype(np.int64))


def _candidates(
    prints: Sequence[Fingerprint | None], songs: Sequence[str], done: Callable[[int], object]
) -> Iterator[tuple[int, int]]:
    """Yield pairs of files of different songs that have a window in common, more or less."""
    from sklearn.neighbors import NearestNeighbors

    heard = [(place, one) for place, one in enumerate(prints) if one is not None and len(one.windows)]
    if len(heard) < 2:
        return
    values = np.concatenate([one.windows for _, one in heard])
    deviation = values.std(axis=0)
    values -= values.mean(axis=0)
    values /= np.where(deviation > 0, deviation, 1)
    owner = np.repeat([place for place, _ in heard], [len(one.windows) for _, one in heard])
    first = np.cumsum([0, *(len(one.windows) for _, one in heard)])
    asked = np.concatenate([start + _queries(one) for start, (_, one) in zip(first, heard, strict=False)])
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(values)), algorithm="brute").fit(values)
    for start in range(0, len(asked), _BLOCK):
        rows = asked[start : start + _BLOCK]
        for row, near in zip(rows, nearest.kneighbors(values[rows], return_distance=False), strict=True):
            own = int(owner[row])
            others = dict.fromkeys(int(place) for place in owner[near] if songs[place] != songs[own])
            yield from ((min(own, other), max(own, other)) for other in list(others)[:CANDIDATES])
        done(len(rows))


@dataclass(frozen=True)
class _Spectrum:
    """The signs of a file, and where there are any, over time as Fourier transforms (frequencies, 32) of one size."""

    signs: NDArray[np.complexfloating]
    heard: NDArray[np.complexfloating]
    frames: int
    size: int

    @classmethod
    def of(cls, one: Fingerprint | None, size: int) -> _Spectrum:
        assert one is not None, "candidates have been heard"
        signs = one.signs()
        heard = np.fft.rfft(np.abs(signs), size, axis=0)
        return cls(np.fft.rfft(signs, size, axis=0), heard, len(signs), size)  # complex64, as float32 becomes

    def distance(self, other: _Spectrum) -> tuple[float, int]:
        """Return the share of the bits that differ where the two fit best, and by how many frames ``other`` is later.

        UNRELATED if they have too little in common at any place.
        """
        agreed, told = (
            np.fft.irfft(np.einsum("fb,fb->f", mine, its.conj()), self.size)
            for mine, its in ((self.signs, other.signs), (self.heard, other.heard))
        )
        lag = np.fft.fftfreq(self.size, 1 / self.size).round().astype(int)
        overlap = np.minimum(self.frames, other.frames + lag) - np.maximum(0, lag)
        fits = (overlap >= min(OVERLAP, self.frames, other.frames)) & (told >= HEARD * 32 * overlap)
        share = np.where(fits, 0.5 - 0.5 * agreed / np.maximum(told, 1), UNRELATED)
        best = int(share.argmin())
        return max(0.0, float(share[best])), int(lag[best])  # rounding may leave less than nothing
