"""How many frames are lost where a file is damaged, if its first frame says how many there are in all."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from earmark.decode.mpeg.frames import SILENT, Frames

_PLAUSIBLE = 1.5  # so many times the frames that were reckoned; more are not damage but a wrong number


def gaps(frames: Frames) -> list[tuple[int, int]]:
    """Return (frame, frames) of each place where some are lost, adjoining ones as one."""
    found: list[tuple[int, int]] = []
    for number, count in sorted(frames.lost):
        if found and sum(found[-1]) == number:
            found[-1] = (found[-1][0], found[-1][1] + count)
        else:
            found.append((number, count))
    return found


def fitted(frames: Frames, announced: int) -> Frames:
    """Return the frames with as many lost ones as make up the ``announced`` number, its first one not counted.

    By their bytes it can only be reckoned how many are lost: some may have been inserted, or taken away.
    """
    places = gaps(frames)
    counts = np.array([count for _, count in places])
    lacking = announced - (len(frames) - 1 - counts.sum())
    if lacking == counts.sum() and not frames.left:
        return replace(frames, lost=[one for one in frames.lost if one[1]], mended=frames.mended + 1)
    if not places or frames.left or lacking < 0 or announced > _PLAUSIBLE * len(frames):
        return frames
    weights = counts if counts.any() else np.ones(len(counts), np.int64)
    new = np.diff(np.concatenate([[0], (np.cumsum(weights) * lacking / weights.sum()).round().astype(int)]))
    keep = np.ones(len(frames), bool)
    for (number, count), wanted in zip(places, new, strict=True):
        keep[number + min(count, wanted) : number + count] = False
    where = np.repeat([number + count for number, count in places], np.maximum(0, new - counts))
    numbers = np.insert(np.where(keep, np.arange(len(frames)), -2), where, SILENT)
    numbers = numbers[numbers != -2]
    model = frames.head[np.minimum(where, len(frames) - 1)]
    arrays = [
        np.insert(one, where, more)[np.insert(keep, where, True)]
        for one, more in ((frames.place, SILENT), (frames.size, 0), (frames.head, model))
    ]
    moved = {int(old): at for at, old in enumerate(numbers) if old >= 0}
    shift = itertools.accumulate(new - counts, initial=0)
    lost = [(number + int(by), int(wanted)) for (number, _), by, wanted in zip(places, shift, new, strict=False)]
    muted = {moved[number] for number in frames.muted if number in moved}
    return replace(
        frames, place=arrays[0], size=arrays[1], head=arrays[2], lost=lost, muted=muted,
        starts=[moved[number] for number in frames.starts if number in moved],
    )  # fmt: skip
