"""Scores with ties, and targets of which two tags lack a class."""

from __future__ import annotations

import numpy as np


def random_problem(seed=0, clips=60, tags=6):
    rng = np.random.default_rng(seed)
    targets = (rng.random((clips, tags)) < 0.3).astype(np.float32)
    scores = np.round(rng.random((clips, tags)) * 0.6 + 0.4 * targets, 1)  # many ties
    targets[:, 2] = 0
    targets[:, 4] = 1
    return scores, targets
