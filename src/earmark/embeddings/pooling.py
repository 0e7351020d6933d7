"""From the features of a file to one embedding per segment: the layer of a network, averaged over time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import devices
from earmark.encoders.layers import LayerOutputs
from earmark.evaluation import scoring

BATCH = 32  # segments at a time, as the scores of a prediction are computed


@torch.no_grad()
def of_layer(layer: LayerOutputs, features: Tensor, excerpt: int, n_excerpts: int) -> NDArray[np.float32]:
    """Return the mean of a layer over its frames and over the excerpts, (segments, width).

    layer: one alone. features: (segments, frames, dims), standardised. excerpt: the frames that the network sees at one
    time. For the input of the last linear layer it is, to the last bit, ``scoring.embed``.
    """
    parts, where = [], devices.of(layer.network)
    for start in range(0, len(features), BATCH):
        cuts = scoring.excerpts(features[start : start + BATCH].to(where), excerpt, n_excerpts)
        parts.append(torch.stack([layer(cut)[0].mean(dim=1).double() for cut in cuts]).mean(dim=0))
    return torch.cat(parts).float().cpu().numpy()


def over_frames(features: Tensor) -> NDArray[np.float32]:
    """Return the mean over the frames, (segments, dims), of what an encoder makes: (segments, frames, dims)."""
    return features.double().mean(dim=1).float().numpy()
