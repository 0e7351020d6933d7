"""The scattering transform itself, of any type of numbers, with the defaults of its representation."""

from __future__ import annotations

from typing import Any

import torch

from earmark import representations
from earmark.representations.scattering import transform


def scattering(
    n_samples: int, *, rate: float = 16_000, dtype: torch.dtype = torch.float32, **options: Any
) -> transform.Scattering:
    takes = representations.options("scattering")
    of_features = ("normalization", "standardize")
    defaults = {key: option.default for key, option in takes.items() if key not in of_features}
    return transform.Scattering(n_samples, rate=rate, dtype=dtype, **(defaults | options))
