"""A trained model as one file that needs no other: the weights, and all that leads from an audio file to tags.

The format is safetensors. It writes its metadata in random order, so everything but the tensors is JSON under a single
key: the same model gives the same bytes. A checksum over all of it is verified before anything is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from earmark.config import RepresentationConfig, WaveformConfig
from earmark.errors import EarmarkError
from earmark.features.standardize import Standardizer
from earmark.files import write_bytes
from earmark.models import content as contents
from earmark.models import networks
from earmark.sections import in_one_line

FILE = "model.safetensors"  # in the folder of an experiment
FORMAT = 3
SPARE = 10_000_000  # values that a network may have more than its weights: 40 MB
_KEY = "earmark"
_NETWORK, _STANDARDIZER = "network.", "standardizer."  # prefixes of the tensors' names
# What the readers of safetensors and of JSON raise for other files.
_UNREADABLE = (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError)


def model_folders(folder: Path, seeds: Sequence[int]) -> dict[int, Path]:
    """Return the folder of the model of each seed: that of the experiment if there is one seed, else ``seed-<seed>``.

    >>> {seed: path.as_posix() for seed, path in model_folders(Path("models/mine"), (1, 7)).items()}
    {1: 'models/mine/seed-1', 7: 'models/mine/seed-7'}
    """
    return {seed: folder if len(seeds) == 1 else folder / f"seed-{seed}" for seed in seeds}


class ModelError(EarmarkError):
    """A model that cannot be used; the text names the file, and says what to do."""


@dataclass(frozen=True)
class SavedModel:
    """A trained model, as its file holds it.

    network: family and options of the network. A clip has ``frames`` of ``dims`` values each; the network takes
    ``network_frames`` at one time. representation, waveform, standardizer: what makes features of an audio file.
    thresholds: the score from which a tag is predicted, chosen on the validation split; None if there is none.
    exclusive: the tags are classes of which a clip has one. training: what the metrics say about the training, with
    ``excerpt_frames`` and ``excerpts``. code: digests of the code that trained the model (``train``), and of the code
    that made its features (``features``). makers: the versions of the libraries that trained it, and the device.
    weights: the state dict of the network.
    """

    experiment: str
    network: Mapping[str, Any]
    frames: int
    dims: int
    network_frames: int
    representation: RepresentationConfig
    waveform: WaveformConfig
    tags: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    standardizer: Standardizer
    exclusive: bool
    training: Mapping[str, Any]
    code: Mapping[str, str]
    makers: Mapping[str, str]
    weights: Mapping[str, Tensor]

    def save(self, path: Path) -> None:
        """Write the file, complete or not at all; when this returns, it is on the disk."""
        tensors = {_NETWORK + name: weights.detach().cpu().clone() for name, weights in self.weights.items()}
        tensors |= {
            _STANDARDIZER + name: torch.from_numpy(values) for name, values in _arrays(self.standardizer).items()
        }
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        content = {key: getattr(self, key) for key in _PLAIN}
        content |= {
            "representation": self.representation.model_dump(mode="json"),
            "waveform": self.waveform.stored(self.representation.rate),
            "format": FORMAT,
            "clips": self.standardizer.clips,
        }
        content["checksum"] = _checksum(content, tensors)
        _require_finite(path, tensors)
        write_bytes(path, to_bytes(tensors, {_KEY: _canonical(content)}))

    @classmethod
    def load(cls, path: Path) -> SavedModel:
        """Read and verify what ``save`` wrote. Raises ModelError if the file is absent, damaged or something else."""
        content, tensors = _read(path)
        if wrong := contents.fault(content, tensors):
            raise ModelError(f"{path}: {wrong}; train it again")
        try:
            weights = {k.removeprefix(_NETWORK): v for k, v in tensors.items() if k.startswith(_NETWORK)}
            mean, inverse_std = (tensors[_STANDARDIZER + name].numpy() for name in ("mean", "inverse_std"))
            plain = {key: content[key] for key in _PLAIN}
            plain |= {key: tuple(content[key]) for key in ("tags", "thresholds")}
            representation = RepresentationConfig.model_validate(content["representation"])
            waveform = WaveformConfig.from_stored(content["waveform"])
            standardizer = Standardizer(mean, inverse_std, content["clips"])
        except ValidationError as error:
            told = in_one_line(error)
            raise ModelError(f"{path} hears by settings that are unknown here ({told}); train it again") from None
        return cls(
            **plain, representation=representation, waveform=waveform, standardizer=standardizer, weights=weights
        )

    @property
    def decisive(self) -> NDArray[np.float64]:
        """Return the score from which each tag is predicted, (tags,): its threshold, 0.5 for a tag without one."""
        return np.array([0.5 if threshold is None else threshold for threshold in self.thresholds])

    def build(self) -> nn.Module:
        """Return the network with its weights, ready to score.

        Raises ModelError if the code of the family has changed, so that the weights do not fit.
        """
        try:
            self._require_room()
            network = self._network()
            network.load_state_dict(dict(self.weights))
        except (EarmarkError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"the model of {self.experiment!r} does not fit the code of its family {self.network['family']!r}, "
                f"which has changed since ({error}); train it again"
            ) from None
        return network.eval()

    def without_values(self) -> nn.Module:
        """Return the network on torch's device ``meta``: it takes no memory, and has names and shapes alone.

        Raises what the code of the family does with a tensor that has no values.
        """
        with torch.device("meta"):
            return self._network()

    def _network(self) -> nn.Module:
        return networks.network(
            self.network["family"], len(self.tags), self.network_frames, self.dims, self.network["options"]
        )

    def _require_room(self) -> None:
        """Raise ValueError if the network has far more values than the file, before memory is taken for them.

        It may have fewer, for trees grow in fitting, or some more: a network of one's own may have values that have no
        size yet (torch's lazy layers), or another one before its weights are there.
        """
        try:
            state = self.without_values().state_dict()
            needed = sum(each.numel() for each in state.values() if not is_lazy(each))
        except Exception:  # whatever the code of a family does with a tensor that has no values
            return
        held = sum(each.numel() for each in self.weights.values())
        if needed > held + SPARE:
            raise ValueError(f"it has {needed:,} values, and the file {held:,}")


_OTHERS = ("representation", "waveform", "standardizer", "weights")  # fields that are not JSON as they are
_PLAIN = tuple(name for name in SavedModel.__dataclass_fields__ if name not in _OTHERS)


def _require_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelError, which names the tensor, if a weight is NaN or infinite."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise ModelError(
                f"{path}: {bad} of the {tensor.numel()} values of {name} are NaN or infinite, and no score would be a "
                "number; train it again, with a smaller learning_rate if it diverged"
            )


def _arrays(standardizer: Standardizer) -> dict[str, NDArray[np.float32]]:
    return {"mean": standardizer.mean, "inverse_std": standardizer.inverse_std}


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of every tensor, its name, type and shape, and of all the rest but the checksum itself."""
    summary = hashlib.sha256(_canonical({k: v for k, v in content.items() if k != "checksum"}).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        summary.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        summary.update(tensor.numpy().data)
    return summary.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the content of a file and its tensors. Raises ModelError if it is not what was written."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[_KEY]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        content = json.loads(text)
        version, expected = content["format"], content["checksum"]
        whole = _canonical(content) == text and _checksum(content, tensors) == expected
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; run `{_training(path)}`, or `dvc pull` it") from None
    except _UNREADABLE as error:
        raise ModelError(f"{path} is no model of earmark, or damaged ({error}); {_AGAIN}") from None
    if version != FORMAT:
        raise ModelError(f"{path} has format {version!r}, and this version of earmark reads {FORMAT}; train it again")
    if not whole:
        raise ModelError(f"{path} is damaged: its checksum is not that of its content; {_AGAIN}")
    _require_finite(path, tensors)
    return content, tensors


def _training(path: Path) -> str:
    """Return the command that makes a model, as far as its place tells it."""
    folder = path.parent.parent if path.parent.name.startswith("seed-") else path.parent
    return f"dvc repro train@{folder.name}" if folder.parent.name == "models" else "dvc repro"


_AGAIN = "`dvc checkout` it, or train it again"
