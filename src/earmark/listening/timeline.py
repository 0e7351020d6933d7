"""A clip over time: its waveform, and what a model makes of each of its parts."""

from __future__ import annotations

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
    the middle between two of them. Of a model that hears a clip as a whole there is one part.

    Raises RejectedError if the file cannot be decoded.
    """
    listener, model = predictor.listener, predictor.model
    wave = listener.decode(path)
    heard = listener.of_wave(wave)
    frames = heard.features.shape[1]
    excerpt = min(predictor.excerpts[0], frames)
    places = starts(frames, excerpt, scoring.count_excerpts(frames, excerpt))
    step = float(listener.transform.axes["seconds_per_frame"])
    scores, centres = [], []
    for features, begins in zip(heard.features, listener.starts(len(wave)), strict=True):
        parts = torch.stack([features[place : place + excerpt] for place in places])
        scores.append(scoring.score(model, parts, excerpt, 1, exclusive=predictor.saved.exclusive))
        centres += [begins + step * (place + excerpt / 2) for place in places]
    return Timeline(heard.seconds, peaks(wave), edges(np.array(centres), heard.seconds), np.concatenate(scores))


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
