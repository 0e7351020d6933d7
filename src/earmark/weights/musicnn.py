"""musicnn's published weights (Pons and Serra 2019) as a model of this project: same network, same input, same tags.

What the authors' TensorFlow code has otherwise than ours: kernels are (height, width, inputs, outputs); batch norms add
0.001 to a variance; the pooled features alternate (maximum of channel 0, mean of channel 0, maximum of channel 1, ...),
where ours has all maxima first. A file is heard in windows of 187 frames, one after the other; what is left over at its
end is not heard, and the scores are averaged over the windows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.config import RepresentationConfig, WaveformConfig
from earmark.errors import EarmarkError
from earmark.features.standardize import Standardizer
from earmark.models import networks
from earmark.models.saved import SavedModel
from earmark.weights.registry import Weights

FRAMES, BANDS, HOP = 187, 96, 256  # of a window; samples between frames
INPUT = {"kind": "mel", "rate": 16_000, "n_fft": 512, "hop": HOP, "n_mels": BANDS, "compression": "log10p"}
FAMILY, OPTIONS = "musicnn", {"epsilon": 0.001}
BATCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
TRAINING = ("Adam", "_power")  # parts of the names of what only a training goes on from

Arrays = Mapping[str, NDArray[np.float32]]


def model(weights: Weights, arrays: Arrays, where: str) -> SavedModel:
    """Return the arrays of a checkpoint as a model. where: the file that they come from, for errors.

    Raises EarmarkError if they are not those of musicnn's network.
    """
    samples = FRAMES * HOP - 1  # a frame is centred on every HOP samples, the first one on sample 0
    return SavedModel(
        experiment=weights.name,
        network={"family": FAMILY, "options": OPTIONS},
        frames=FRAMES,
        dims=BANDS,
        network_frames=FRAMES,
        representation=RepresentationConfig.model_validate(INPUT | {"samples": samples}),
        waveform=WaveformConfig(samples=samples, policy="segments", dtype="float32", min_seconds=0.0),
        tags=weights.tags,
        thresholds=(None,) * len(weights.tags),
        standardizer=Standardizer(np.zeros(BANDS, np.float32), np.ones(BANDS, np.float32), 0),
        exclusive=False,
        training={
            "excerpt_frames": FRAMES, "excerpts": 1, "whole_file": True,
            "source": weights.source, "licence": weights.licence, "corpus": weights.trained_on,
        },
        code={},
        makers={"package": weights.package},
        weights=_fitting(state_dict(arrays, where), len(weights.tags), where),
    )  # fmt: skip


def _fitting(weights: Mapping[str, Tensor], n_tags: int, where: str) -> Mapping[str, Tensor]:
    """Return weights whose shapes are those of the network; raise EarmarkError, which names the first other one."""
    with torch.device("meta"):
        expected = networks.network(FAMILY, n_tags, FRAMES, BANDS, OPTIONS).state_dict()
    for name, tensor in expected.items():
        if (ours := tuple(weights[name].shape)) != tuple(tensor.shape):
            raise EarmarkError(
                f"{where} must hold musicnn's weights, but {name} has the shape {ours}, not {tuple(tensor.shape)}: "
                "another network?"
            )
    return weights


def state_dict(arrays: Arrays, where: str) -> dict[str, Tensor]:
    """Return the weights of ``MusiCNN`` from the arrays of a checkpoint by their TensorFlow names.

    Raises EarmarkError if an array is absent, or if there is one that the network has no place for.
    """
    left = {name: array for name, array in arrays.items() if not any(part in name for part in TRAINING)}

    def take(name: str) -> NDArray[np.float32]:
        if name not in left:
            raise EarmarkError(f"{where} must hold musicnn's weights, but has no {name}: another network?")
        return left.pop(name)

    def layer(ours: str, theirs: str, axes: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
        kernel = take(f"{theirs}/kernel")
        if kernel.ndim != len(axes):
            raise EarmarkError(
                f"{where}: {theirs}/kernel must have {len(axes)} axes, got {kernel.shape}: not musicnn's"
            )
        return {f"{ours}.weight": kernel.transpose(axes), f"{ours}.bias": take(f"{theirs}/bias")}

    def norm(ours: str, number: int) -> dict[str, NDArray[np.float32]]:
        return {
            f"{ours}.{key}": take(f"{_numbered('batch_normalization', number)}/{name}")
            for key, name in BATCH_NORM.items()
        }

    found = norm("input_norm", 0)
    for i in range(5):
        found |= layer(f"front.{i}.convolution", _numbered("conv2d", i), (3, 2, 0, 1)) | norm(f"front.{i}.norm", 1 + i)
    for i in range(3):
        kernel = f"middle.{i}.convolution"
        found |= layer(kernel, _numbered("conv2d", 5 + i), (3, 2, 1, 0)) | norm(f"middle.{i}.norm", 6 + i)
        found[f"{kernel}.weight"] = found[f"{kernel}.weight"][:, 0]  # their channels are the width of an image
    found |= norm("dense.0", 9) | layer("dense.2", "dense", (1, 0)) | norm("dense.4", 10)
    found |= layer("output", "dense_1", (1, 0))
    for name in ("dense.2.weight", *(f"dense.0.{key}" for key in BATCH_NORM)):
        found[name] = np.concatenate([found[name][..., 0::2], found[name][..., 1::2]], axis=-1)
    if left:
        raise EarmarkError(
            f"{where} must hold musicnn's weights and nothing else, but has {', '.join(sorted(left)[:3])}"
        )
    counts = {f"{name.rpartition('.')[0]}.num_batches_tracked" for name in found if name.endswith("running_mean")}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}
    return tensors | {name: torch.tensor(0) for name in sorted(counts)}


def _numbered(name: str, number: int) -> str:
    """Return TensorFlow's name of the layer with that number.

    >>> _numbered("conv2d", 0), _numbered("conv2d", 3)
    ('conv2d', 'conv2d_3')
    """
    return f"{name}_{number}" if number else name
