"""The test clips as the listening page needs them: true and predicted tags, scores, and how wrong they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from earmark.evaluation.metrics import Array
from earmark.evaluation.mistakes import Judged, sureness


def content(experiment: str, judged: Judged) -> dict[str, Any]:
    """Return what the page shows, for JSON, with a row per clip in the order of ``judged``.

    ``has`` and ``got`` are the numbers of the true and of the predicted tags, ``scores`` the probabilities, and
    ``sure`` how far each of them is from its threshold, in deviations of the tag's log-odds: None for a tag that has
    the same score for every clip.
    """
    sure = np.abs(sureness(judged.scores, judged.thresholds))
    predicted = judged.predicted
    clips = [
        {
            "id": judged.clip_ids[row],
            "file": judged.files[row],
            "song": judged.songs[row],
            "has": np.flatnonzero(judged.targets[row]).tolist(),
            "got": np.flatnonzero(predicted[row]).tolist(),
            "scores": numbers(judged.scores[row]),
            "sure": numbers(sure[row]),
        }
        for row in range(len(judged.clip_ids))
    ]
    return {
        "experiment": experiment,
        "tags": list(judged.tags),
        "thresholds": numbers(judged.thresholds),
        "clips": clips,
    }


def numbers(values: Array) -> list[float | None]:
    """Return values with three decimals; None where one is not finite, because JSON has no such number.

    >>> numbers(np.array([0.12345, np.nan]))
    [0.123, None]
    """
    return [round(value, 3) if np.isfinite(value) else None for value in values.tolist()]
