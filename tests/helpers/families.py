"""A saved model of every family, small: what its weights hear is never computed."""

from __future__ import annotations

import numpy as np
import torch

from earmark.config import RepresentationConfig, WaveformConfig
from earmark.evaluation.metrics import macro_roc_auc
from earmark.features.standardize import Standardizer
from earmark.models import networks
from earmark.models.saved import SavedModel

SMALL = {  # frames, dims, options: of each family the smallest that it takes
    "attention_pool": (20, 7, {}), "attentive_branches": (20, 7, {"parts": [3, 4]}), "bilstm": (12, 7, {}),
    "convolutional": (64, 84, {}), "crnn": (96, 96, {}), "fully_convolutional": (96, 432, {}),
    "histogram_boosting": (8, 7, {"iterations": 5}), "linear": (8, 7, {}), "mlp": (8, 7, {}),
    "musicnn": (40, 96, {}), "recurrent": (6, 7, {"cell": "gru", "layers": 2, "units": 8}),
    "sample_cnn": (59_049, 1, {}), "short_chunk": (128, 64, {}),
}  # fmt: skip


def model(family, frames, dims, options, tags=4) -> SavedModel:
    """Return a model with weights that no two tensors share; what it hears is never computed."""
    chosen = networks.resolve(family, options)
    torch.manual_seed(0)
    network = networks.network(family, tags, frames, dims, chosen)
    if hasattr(network, "fit"):
        features, targets = torch.randn(60, frames, dims), (torch.rand(60, tags) < 0.4).float()
        network.fit((features, targets), (features, targets), macro_roc_auc)
    else:
        with torch.no_grad():
            for weights in network.parameters():
                weights += 0.01 * torch.randn_like(weights)
    heard = RepresentationConfig(kind="mel", rate=16_000, samples=28_000)
    rng = np.random.default_rng(0)
    mean, scale = (rng.normal(size=dims).astype(np.float32) for _ in range(2))
    return SavedModel(
        "mine", {"family": family, "options": chosen}, frames + 3, dims, frames, heard, WaveformConfig(samples=28_000),
        tuple("abcdefgh"[:tags]), (None,) * tags, Standardizer(mean, np.abs(scale) + 0.5, 9), False,
        {"excerpt_frames": frames, "excerpts": 2}, {}, {}, network.state_dict(),
    )  # fmt: skip
