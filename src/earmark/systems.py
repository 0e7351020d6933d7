"""The published systems by name: what each one hears, its network, its training rule and the figures in print.

``build`` imports only the module of the system's own family, so that a change to one family concerns no other
system's results.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from torch import nn

SONG_2018 = "Song et al. 2018, Music auto-tagging using deep recurrent neural networks"
MIREX_2018 = "Song, Ding, Wang 2018, MIREX audio classification (train/test) tasks"
DALLA_LONGA = "Dalla Longa et al., Deep neural networks approaches for music tagging"
PANWAR = "Panwar et al., A deep learning approach for mapping music genres"
CHOI_2016 = "Choi et al. 2016, Automatic tagging using deep convolutional neural networks"
LEE_2017 = "Lee et al. 2017, Sample-level deep convolutional neural networks for music auto-tagging"
WON_2020 = "Won et al. 2020, Evaluation of CNN-based automatic music tagging models"
PONS_2019 = "Pons and Serra 2019, musicnn: pre-trained convolutional neural networks for music audio tagging"

Training = Literal["song-2018", "mirex-2018", "dalla-longa", "panwar", "none"]


@dataclass(frozen=True)
class Input:
    """The canonical representation of a system: its kind, sample rate, samples of a clip, and transform options."""

    kind: Literal["scattering", "mel", "cqt", "waveform"]
    rate: int
    n_samples: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """One published system.

    The network sees ``frames`` x ``dims`` at a time. Where ``segments`` is above 1, a clip's frames hold that many
    pieces, each trained with the clip's labels; the clip's scores are the mean over its pieces.

    ``parameters`` is the exact count for ``outputs`` tags or classes: of the trainable parameters, or, where
    ``counting`` is "keras", with batch norm's running statistics as Keras' summary has them. ``printed`` is the
    count in the paper's own words, None where it gives none; so is a figure that ``published`` lacks.
    """

    name: str
    source: str
    family: str
    representation: Input
    frames: int
    dims: int
    training: Training
    options: Mapping[str, Any] = field(default_factory=dict)
    task: Literal["tags", "classes"] = "tags"
    outputs: int = 50
    segments: int = 1
    parameters: int | None = None
    counting: Literal["trainable", "keras"] = "trainable"
    printed: str | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


SCATTERING = Input("scattering", 16_000, 464_000, {"T": 8192, "Q": (8, 1), "oversampling": 1})
MEL_12K = Input("mel", 12_000, 349_440, {"n_fft": 512, "hop": 256, "n_mels": 96})
MEL_16K = Input("mel", 16_000, 464_000, {"n_fft": 512, "hop": 256, "n_mels": 96})
MEL_128 = Input("mel", 16_000, 464_000, {"n_fft": 512, "hop": 256, "n_mels": 128})
CQT_512 = Input("cqt", 16_000, 464_000, {"bins": 84, "bins_per_octave": 12, "hop": 512})
CQT_256 = Input("cqt", 16_000, 464_000, {"bins": 84, "bins_per_octave": 12, "hop": 256})


def _recurrent(
    name: str, cell: str, layers: int, units: int, parameters: int, printed: str, auc: float
) -> System:
    """A row of Song et al. 2018 on scattering coefficients."""
    options = {"cell": cell, "layers": layers, "units": units}
    return System(
        name, SONG_2018, "recurrent", SCATTERING, 114, 433, "song-2018", options,
        parameters=parameters, printed=printed, published={"roc_auc": auc},
    )  # fmt: skip


ROWS = (
    _recurrent("scat-5l-512h-gru", "gru", 5, 512, 7_776_306, "7776K", 0.909),
    System(
        "mel-2d-cnn", DALLA_LONGA, "convolutional",
        Input("mel", 16_000, 465_984, {"n_fft": 2048, "hop": 1792, "n_mels": 128}), 261, 128, "dalla-longa",
        {"network": "2d-cnn"}, parameters=362_418, counting="keras", printed="362,418",
        published={"roc_auc": 0.894, "tpr": 0.827, "fpr": 0.173},
    ),
    System(
        "cqt-2d-cnn", DALLA_LONGA, "convolutional", CQT_256, 1813, 84, "dalla-longa", {"network": "2d-cnn"},
        parameters=1_159_218, counting="keras", note="mel-2d-cnn's network on another input; in no paper",
    ),
    System("linear", "scikit-learn's logistic regression", "linear", SCATTERING, 114, 433, "none"),
)  # fmt: skip
SYSTEMS: dict[str, System] = {row.name: row for row in ROWS}


def find(name: str) -> System:
    """Return the system of that name; an unknown one is refused with the names that come close."""
    if name not in SYSTEMS:
        close = difflib.get_close_matches(name, SYSTEMS, n=3, cutoff=0.5)
        hint = f"close to {', '.join(close)}" if close else f"known are {', '.join(sorted(SYSTEMS))}"
        raise ValueError(f"system must be one of the {len(SYSTEMS)} of earmark.systems, got {name!r}: {hint}")
    return SYSTEMS[name]


def build(
    name: str, n_tags: int, frames: int | None = None, dims: int | None = None, **options: Any
) -> nn.Module:
    """Build a system's network: features (batch, frames, dims) -> logits (batch, n_tags), no sigmoid.

    ``frames`` and ``dims`` default to the system's own; other values adapt the layers' sizes. ``options`` override
    those of the table, as ``cell="gru-paper"``. Raises ValueError for an unknown name and for too small an input.
    """
    system = find(name)
    create: Callable[..., nn.Module] = import_module(f"earmark.models.{system.family}").create
    frames = system.frames if frames is None else frames
    dims = system.dims if dims is None else dims
    if n_tags < 1:
        raise ValueError(f"n_tags must be at least 1, got {n_tags}: no tag was selected")
    try:
        return create(n_tags, frames, dims, **{**system.options, **options})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def count_parameters(module: nn.Module, counting: Literal["trainable", "keras"] = "trainable") -> int:
    """Count the trainable parameters; "keras" adds batch norm's running statistics, so four per channel.

    Keras' summary counts a batch norm's scale, shift, mean and variance in one total.
    """
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    if counting == "trainable":
        return trainable
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    return trainable + sum(2 * norm.num_features for norm in norms)
