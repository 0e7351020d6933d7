"""Networks in files, small enough to be made in a test, as encoders read them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from earmark import representations
from earmark.config import RepresentationConfig, WaveformConfig
from earmark.features.standardize import Standardizer
from earmark.models import networks
from earmark.models.saved import SavedModel
from earmark.representations.base import Representation

RATE, SAMPLES = 16_000, 20_000


def encoder(file: Path, samples: int = SAMPLES, rate: int = RATE, **options: Any) -> Representation:
    """Build an entry ``mine`` of ``encoders``."""
    config = RepresentationConfig(kind="encoder", rate=rate, samples=samples, file=str(file), **options)
    return representations.of(config, "mine")


def waves(clips: int = 3, samples: int = SAMPLES, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(clips, samples, generator=torch.Generator().manual_seed(seed))


def export(network: nn.Module, example: Tensor, file: Path, **options: Any) -> Path:
    """Write a network as ONNX whose batch, and nothing else, is free."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no other package is the old one
        torch.onnx.export(
            network.eval(), (example,), str(file), dynamo=False, input_names=["input"], output_names=["output"],
            **({"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}} | options),
        )  # fmt: skip
    return file


def saved(file: Path, family: str = "recurrent", window: int = 20, samples: int = 28_000, **options: Any) -> SavedModel:
    """Write a model of earmark with the weights that it starts from; it hears mel, on windows of some frames."""
    heard = representations.resolve(
        RepresentationConfig(kind="mel", rate=RATE, samples=samples, n_mels=24, n_fft=512, hop=256)
    )
    mel = representations.of(heard)
    chosen = networks.resolve(family, options)
    torch.manual_seed(0)
    network = networks.network(family, 5, window, mel.n_dims, chosen)
    rng = np.random.default_rng(0)
    mean, scale = (rng.normal(size=mel.n_dims).astype(np.float32) for _ in range(2))
    model = SavedModel(
        "mine", {"family": family, "options": chosen}, mel.n_frames, mel.n_dims, window, heard,
        WaveformConfig(samples=samples), tuple("abcde"), (None,) * 5, Standardizer(mean, np.abs(scale) + 0.5, 9),
        False, {"excerpt_frames": window, "excerpts": 2}, {}, {}, network.state_dict(),
    )  # fmt: skip
    model.save(file)
    return model
