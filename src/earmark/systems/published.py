"""The published systems by name: the input of each one, its network, its recipe and the figures in print.

``build`` imports only the family of the system's network, so that a change of another family does not concern it.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

from torch import nn

from earmark.models.networks import network
from earmark.systems.own import OWN_ROWS
from earmark.systems.system import Input as Input
from earmark.systems.system import LabelRule
from earmark.systems.system import System as System

SONG_2018 = "Song et al. 2018, Music auto-tagging using deep recurrent neural networks"
MIREX_2018 = "Song, Ding, Wang 2018, MIREX audio classification (train/test) tasks"
DALLA_LONGA = "Dalla Longa et al., Deep neural networks approaches for music tagging"
PANWAR = "Panwar et al., A deep learning approach for mapping music genres"
CHOI_2016 = "Choi et al. 2016, Automatic tagging using deep convolutional neural networks"
LEE_2017 = "Lee et al. 2017, Sample-level deep convolutional neural networks for music auto-tagging"
WON_2020 = "Won et al. 2020, Evaluation of CNN-based automatic music tagging models"
WON_2020_HARMONIC = "Won et al. 2020, Data-driven harmonic filters for audio representation learning"
PONS_2019 = "Pons and Serra 2019, musicnn: pre-trained convolutional neural networks for music audio tagging"


SCATTERING = Input("scattering", 16_000, 464_000, {"T": 8192, "Q": (8, 1), "oversampling": 1, "normalization": "log"})
SCATTERING_SONG = replace(SCATTERING, options={**SCATTERING.options, "normalization": "song"}, name="scattering-song")
MEL_12K = Input("mel", 12_000, 349_440, {"n_fft": 512, "hop": 256, "n_mels": 96}, name="mel-12k")
MEL_16K = Input("mel", 16_000, 464_000, {"n_fft": 512, "hop": 256, "n_mels": 96}, name="mel-16k")
MEL_128 = Input("mel", 16_000, 464_000, {"n_fft": 512, "hop": 256, "n_mels": 128}, name="mel-128")
CQT_512 = Input("cqt", 16_000, 464_000, {"bins": 84, "bins_per_octave": 12, "hop": 512}, name="cqt-512")
CQT_256 = Input("cqt", 16_000, 464_000, {"bins": 84, "bins_per_octave": 12, "hop": 256}, name="cqt-256")
WAVEFORM_16K = Input("waveform", 16_000, 464_000, name="waveform-16k")
WAVEFORM_22K = Input("waveform", 22_050, 590_490, name="waveform-22k")
WAVEFORM_SONG = Input("waveform", 16_000, 465_984, name="waveform-song")
RAW = LabelRule(50, merged=False, clean=True, split="corpus")
MERGED = LabelRule(50, merged=True, clean=True, split="corpus")
PANWAR_RANDOM = LabelRule(50, merged=True, clean=False, split="panwar-random")  # 25,860 clips: all that can be read


def _dalla_longa_mel(n_samples: int, hop: int) -> Input:
    """Return the log-mel of Dalla Longa et al., whose hop differs from network to network."""
    return Input("mel", 16_000, n_samples, {"n_fft": 2048, "hop": hop, "n_mels": 128}, name=f"mel-hop-{hop}")


def _song(name: str, count: int, printed: str, auc: float, **row: Any) -> System:
    """Return a row of Song et al. 2018; the name holds layers, units and cell, as in ``scat-5l-512h-gru``.

    The cells are the paper's, with dropout that loses no memory, and start as TensorFlow's.
    """
    _, layers, units, cell = name.split("-", 3)
    options = {"cell": _STEPWISE.get(cell, cell), "layers": int(layers[:-1]), "units": int(units[:-1])}
    options |= {"initialization": "glorot"} | row.pop("options", {})
    heard: dict[str, Any] = {"representation": SCATTERING_SONG, "frames": 114, "dims": 433} | row
    published = {"roc_auc": auc}
    return System(
        name, SONG_2018, "recurrent", recipe="song-2018", options=options, parameters=count, printed=printed,
        published=published, any_length=not options.get("transposed", False), labels=RAW, **heard,
    )  # fmt: skip


def _variant(system: System, name: str, note: str, **changes: Any) -> System:
    """Return a system that no paper prints: the network of another one with changes, without published figures."""
    options = {**system.options, **changes.pop("options", {})}
    return replace(system, name=name, note=note, options=options, printed=None, published={}, **changes)


_STEPWISE = {"gru": "gru-paper", "lstm": "lstm-paper"}
_BN = "with ten batch-norm parameters per unit and layer, which the printed count leaves out"
_SWAPPED: dict[str, Any] = {
    "options": {"transposed": True},
    "note": "the frames are the inputs and the bands the time axis: only so does the printed count come out",
}
_MEL: dict[str, Any] = {"representation": MEL_12K, "frames": 1366, "dims": 96, **_SWAPPED}
_CQT: dict[str, Any] = {
    "representation": CQT_512, "frames": 907, "dims": 84,
    "options": {"transposed": True, "units": 256},
    "note": f"{_SWAPPED['note']}, and only with 256 units",
}  # fmt: skip
SONG_ROWS = (
    _song("scat-4l-256h-lstm", 2_295_346, "2295K", 0.857),
    _song("scat-4l-256h-bn-lstm", 2_305_586, "2295K", 0.881, note=_BN),
    _song("scat-4l-256h-gru", 1_724_722, "1724K", 0.896),
    _song("scat-4l-512h-lstm", 8_260_658, "8260K", 0.892),
    _song("scat-4l-512h-bn-lstm", 8_281_138, "8260K", 0.849, note=_BN),
    _song("scat-4l-512h-gru", 6_201_906, "6202K", 0.903),
    _song("scat-5l-512h-gru", 7_776_306, "7776K", 0.909),
    _song("scat-6l-512h-gru", 9_350_706, "9350K", 0.902),
    _song("mel-5l-512h-gru", 9_209_394, "9209K", 0.794, **_MEL),
    _song("mel-5l-512h-lstm", 12_270_642, "12270K", 0.773, **_MEL),
    _song("cqt-5l-512h-gru", 2_482_738, "2482K", 0.775, **_CQT),
    _song("cqt-5l-512h-lstm", 3_306_034, "3306K", 0.765, **_CQT),
    System(
        "scat-4l-cnn", SONG_2018, "fully_convolutional", SCATTERING_SONG, 114, 433, "song-2018",
        {"initialization": "glorot"}, parameters=17_365_938, printed="17365K", published={"roc_auc": 0.904},
        labels=RAW,
    ),
    System(
        "mirex-5l-512h-lstm", MIREX_2018, "recurrent", SCATTERING, 114, 433, "mirex-2018",
        {"cell": "lstm", "layers": 5, "units": 512, "initialization": "glorot"}, task="classes", outputs=10,
        any_length=True, parameters=10_339_338, note="genre has 10 classes, mood 5",
    ),
)  # fmt: skip
_AS_FUSED = "torch's fused cell, for speed: its dropout acts between the layers"
_RESETS = ", and its reset gate after the recurrent product"


def _fused(row: System) -> System:
    """Return the variant of a row of Song et al. whose cell is torch's own, faster on a GPU."""
    cell = row.options["cell"].removesuffix("-paper")
    note = "; ".join([*([row.note] if row.note else []), _AS_FUSED + (_RESETS if cell == "gru" else "")])
    return _variant(row, f"{row.name}-fused", note, options={"cell": cell})


LOG_ROWS = (
    _variant(
        next(row for row in SONG_ROWS if row.name == "scat-5l-512h-gru"), "scat-5l-512h-gru-log",
        "the logarithm of all coefficients, all of them standardised, in place of the paper's Eq. 4",
        representation=SCATTERING,
    ),
)  # fmt: skip
FUSED_ROWS = tuple(_fused(row) for row in SONG_ROWS if row.options.get("cell") in _STEPWISE.values())
_FUSED = {row.name: row for row in FUSED_ROWS}
_TIME = f"time as time: what the text of Song et al. says, and their counts do not; {_AS_FUSED}; our initial weights"
_MEL_TIME: dict[str, Any] = {
    "note": _TIME, "representation": MEL_16K, "frames": 1813, "any_length": True,
    "options": {"transposed": False, "initialization": "orthogonal"},
}  # fmt: skip
_CQT_TIME: dict[str, Any] = {**_MEL_TIME, "representation": CQT_256}
TIME_ROWS = (
    _variant(_FUSED["mel-5l-512h-gru-fused"], "mel-5l-512h-gru-time", parameters=7_258_674, **_MEL_TIME),
    _variant(_FUSED["mel-5l-512h-lstm-fused"], "mel-5l-512h-lstm-time", parameters=9_669_682, **_MEL_TIME),
    _variant(_FUSED["cqt-5l-512h-gru-fused"], "cqt-5l-512h-gru-time", parameters=1_850_674, **_CQT_TIME),
    _variant(_FUSED["cqt-5l-512h-lstm-fused"], "cqt-5l-512h-lstm-time", parameters=2_463_282, **_CQT_TIME),
)  # fmt: skip
MEL_2D_CNN = System(
    "mel-2d-cnn", DALLA_LONGA, "convolutional", _dalla_longa_mel(465_984, 1792), 261, 128, "dalla-longa",
    parameters=362_418, counting="keras", printed="362,418",
    published={"roc_auc": 0.894, "tpr": 0.827, "fpr": 0.173}, labels=MERGED,
)  # fmt: skip
MEL_BILSTM = System(
    "mel-bilstm", DALLA_LONGA, "bilstm", _dalla_longa_mel(464_000, 2048), 227, 128, "dalla-longa",
    parameters=1_021_700, counting="keras", printed="1,021,700",
    published={"roc_auc": 0.870, "tpr": 0.800, "fpr": 0.203}, labels=MERGED,
    note="the printed figures are those of four segments a song; whole songs at hop 2560: mel-bilstm-2560",
)  # fmt: skip
DALLA_LONGA_ROWS = (
    MEL_2D_CNN,
    System(
        "sample-cnn-song", DALLA_LONGA, "sample_cnn", WAVEFORM_SONG, 465_984, 1, "dalla-longa",
        {"whole_song": True}, parameters=2_124_466, counting="keras", printed="2,124,466",
        published={"roc_auc": 0.880, "tpr": 0.812, "fpr": 0.187}, labels=MERGED,
    ),
    MEL_BILSTM,
    replace(
        MEL_BILSTM, name="mel-bilstm-segments", representation=_dalla_longa_mel(465_984, 512), n_excerpts=4,
        places="fixed",
        note="four segments a song of 227 frames each, the width of the printed network, which takes a hop of 512",
    ),
    replace(
        MEL_BILSTM, name="mel-bilstm-2560", representation=_dalla_longa_mel(464_000, 2560), frames=182,
        parameters=909_200, printed=None, published={"roc_auc": 0.861},
        note="whole songs; between two windows of 2048 samples 512 are not heard",
    ),
    _variant(
        MEL_2D_CNN, "cqt-2d-cnn", "mel-2d-cnn's network on another input",
        representation=CQT_256, frames=1813, dims=84, parameters=1_159_218,
    ),
)  # fmt: skip
OTHER_ROWS = (
    System(
        "crnn", PANWAR, "crnn", MEL_12K, 1366, 96, "panwar", parameters=393_906,
        published={"roc_auc": 0.893, "accuracy": 0.94, "loss": 0.15},
        labels=PANWAR_RANDOM,
    ),
    System(
        "sample-cnn", LEE_2017, "sample_cnn", WAVEFORM_22K, 59_049, 1, "won-2020",
        {"whole_song": False}, n_excerpts=10, parameters=1_869_874, printed="1.9 x 10^6",
        published={"roc_auc": 0.9058, "pr_auc": 0.4422}, labels=RAW,
        note="figures of Won et al. 2020, clean split",
    ),
    System(
        "fcn-4", CHOI_2016, "fully_convolutional", MEL_12K, 1366, 96, "choi-2016",
        {"pools": [[4, 2], [5, 4], [8, 3], [8, 4]]},
        parameters=17_365_938, published={"roc_auc": 0.894},
    ),
    System(
        "short-chunk-cnn-res", WON_2020, "short_chunk", MEL_128, 231, 128, "won-2020", n_excerpts=7,
        parameters=12_104_244, printed="12M", published={"roc_auc": 0.9129, "pr_auc": 0.4614}, labels=RAW,
    ),
    System(
        "musicnn", PONS_2019, "musicnn", MEL_16K, 187, 96, "won-2020", n_excerpts=9, parameters=787_159,
        published={"roc_auc": 0.9106, "pr_auc": 0.4493}, labels=RAW,
        note="figures of Won et al. 2020, clean split; the authors print ROC-AUC 0.9067 and PR-AUC 0.3831 for the "
        "weights that they publish (`earmark weights musicnn-mtt`), which hear log10(1 + 10000 mel)",
    ),
    System(
        "harmonic-cnn", WON_2020_HARMONIC, "harmonic_cnn", WAVEFORM_16K, 80_000, 1, "won-2020",
        n_excerpts=5, parameters=3_631_551, published={"roc_auc": 0.9127, "pr_auc": 0.4611}, labels=RAW,
    ),
    System("linear", "scikit-learn's logistic regression", "linear", SCATTERING, 114, 433, recipe=None),
    System(
        "histogram-boosting", "scikit-learn's histogram gradient boosting", "histogram_boosting", SCATTERING, 114, 433,
        recipe=None,
    ),
)  # fmt: skip
SYSTEMS: dict[str, System] = {
    row.name: row for row in (*SONG_ROWS, *LOG_ROWS, *FUSED_ROWS, *TIME_ROWS, *DALLA_LONGA_ROWS, *OTHER_ROWS, *OWN_ROWS)
}


def get(name: str) -> System:
    """Return the system of that name; raise ValueError, with names that come close, if there is none.

    >>> get("scat-5l-512h-gru").published
    {'roc_auc': 0.909}
    """
    if name not in SYSTEMS:
        close = difflib.get_close_matches(name, SYSTEMS, n=3, cutoff=0.5)
        hint = f"close to {', '.join(close)}" if close else f"known are {', '.join(sorted(SYSTEMS))}"
        raise ValueError(f"system must be one of the {len(SYSTEMS)} of earmark.systems.published, got {name!r}: {hint}")
    return SYSTEMS[name]


def build(name: str, n_tags: int, frames: int | None = None, dims: int | None = None, **options: Any) -> nn.Module:
    """Build a system's network: features (batch, frames, dims) -> logits (batch, n_tags), without a sigmoid.

    frames, dims: by default the system's own; with other values the layers have other sizes. options: override those of
    the table, as in ``cell="gru"``.

    Raises ValueError for an unknown name, no tag, or too small an input.
    """
    system = get(name)
    frames = system.frames if frames is None else frames
    dims = system.dims if dims is None else dims
    if n_tags < 1:
        raise ValueError(f"n_tags must be at least 1, got {n_tags}: no tag was selected")
    try:
        return network(system.family, n_tags, frames, dims, {**system.options, **options})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
