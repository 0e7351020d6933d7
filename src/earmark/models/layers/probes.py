"""What the models that fit themselves share: the pooling over time, and the logit of a tag that lacks a class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def mean_and_deviation(features: Tensor) -> Tensor:
    """Return mean and standard deviation over the frames: (batch, frames, dims) -> (batch, 2 * dims).

    Features that are not in memory are read a few clips at a time.
    """
    if not isinstance(features, Tensor):
        return torch.cat([mean_and_deviation(features[i : i + 64]) for i in range(0, len(features), 64)])
    return torch.cat([features.mean(dim=1), features.std(dim=1, unbiased=False)], dim=1)


def frequency_logit(frequency: float) -> float:
    """Return the logit of a tag's frequency, clipped to 1e-6: the score where there is nothing to learn.

    >>> round(frequency_logit(0.0), 3), frequency_logit(0.5)
    (-13.816, 0.0)
    """
    clipped = np.clip(frequency, 1e-6, 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))
