"""A clip over time: its waveform, and what a model makes of each of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.evaluation import scoring
from earmark.evaluation.metrics import Array
from earmark.features.dataset import starts
from earmark.listening.clips import numbers
from earmark.predict import Predictor

PEAKS = 400  # points of a waveform


@dataclass(frozen=True)
class Timeline:
    """A clip of so many seconds.

    peaks: (PEAKS,), the largest amplitude of as many parts of equal length, in [0, 1]. edges: (parts + 1,), where the
    network's parts begin and end, in seconds. scores: (parts, tags), probabilities.
    """

    seconds: float
    peaks: Array
    edges: Array
    scores: Array

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; scores by tag."""
        return {
            "seconds": round(self.seconds, 3),
            "peaks": numbers(self.peaks),
            "edges": numbers(self.edges),
            "scores": [numbers(column) for column in self.scores.T],
        }


@torch.no_grad()
def timeline(predictor: Predictor, path: Path) -> Timeline:
    """Return a file over time, heard as ``predict`` hears it.

    A part is an excerpt as long as those that the model was trained on; excerpts overlap by half, and a part reaches to
    the middle between two of them. Of a model that hears a clip as a whole there is one part. Seeds are averaged.

    Raises RejectedError if the file cannot be decoded.
    """
    listener, exclusive = predictor.listener, predictor.saved.exclusive
    wave: list[NDArray[np.float32]] = []

    def blocks() -> Iterator[NDArray[np.float32] | str]:
        wave.clear()
        for block in listener.blocks(path):
            if not isinstance(block, str):  # what the file lacks
                wave.append(block)
            yield block

    hearing = listener.hearing(path, blocks)
    step = float(listener.transform.axes["seconds_per_frame"])
    scores, centres = [], []
    for batch in hearing:
        frames = batch.features.shape[1]
        excerpt = min(predictor.excerpts[0], frames)
        places = starts(frames, excerpt, scoring.count_excerpts(frames, excerpt))
        for features, begins in zip(batch.features, batch.starts, strict=True):
            parts = torch.stack([features[place : place + excerpt] for place in places])
            each = [scoring.score(network, parts, excerpt, 1, exclusive=exclusive) for network in predictor.networks]
            scores.append(np.mean(each, axis=0))
            centres += [begins + step * (place + excerpt / 2) for place in places]
    seconds = hearing.seconds
    return Timeline(seconds, peaks(np.concatenate(wave)), edges(np.array(centres), seconds), np.concatenate(scores))


def peaks(wave: NDArray[np.float32]) -> Array:
    """Return the largest amplitudes of PEAKS parts of a wave (samples,)."""
    parts = np.array_split(np.abs(wave), PEAKS)
    return np.array([min(1.0, float(part.max(initial=0))) for part in parts])


def edges(centres: Array, seconds: float) -> Array:
    """Return where parts begin and end: halfway between their centres, from 0 to ``seconds``.

    >>> edges(np.array([1.0, 3.0, 4.0]), 5.0).tolist()
    [0.0, 2.0, 3.5, 5.0]
    """
    between = np.clip((centres[1:] + centres[:-1]) / 2, 0, seconds)
    return np.concatenate([[0.0], np.maximum.accumulate(between), [seconds]])
