"""The taggers of this project itself: several representations of a clip, each with a branch that learns by itself.

What is in them was chosen on inner folds of the training and validation clips of a corpus of real music, never on a
test split; docs/best.md says how, and has a row for every ingredient.
"""

from __future__ import annotations

from typing import Any

from earmark.systems.system import Input, System

SOURCE = "earmark, this project's own taggers"
# Both hop 512: from a common frame of a quarter of a second to the next there are eight of them.
_HEARD: dict[str, Any] = {
    "scattering": {"kind": "scattering", "T": 8192, "Q": (8, 1), "oversampling": 1, "normalization": "log"},
    "mel": {"kind": "mel", "n_fft": 1024, "hop": 512, "n_mels": 96, "pooling": "mean-std"},
    "cqt": {"kind": "cqt", "bins": 84, "hop": 512, "pooling": "mean-std"},
}
_DIMS = {"scattering": 433, "mel": 2 * 96, "cqt": 2 * 84, "musicnn-mtt": 200, "musicnn-msd": 200}
# Digests of what `earmark weights` writes.
_WEIGHTS = {
    "musicnn-mtt": "3e9f3f40bf2046cf3bf2f5e44388a8a720045a1c3bf52f893cfaea7cad53cdb9",
    "musicnn-msd": "bdcd5091e7ba88a3ba6406ed8574dc4499ea4b84dd94434acc4569a1c1cfe7f7",
}
_ENCODED: dict[str, Any] = {
    name: {"kind": "encoder", "file": f"data/weights/{name}.safetensors", "layer": "penultimate", "sha256": sha256}
    for name, sha256 in _WEIGHTS.items()
}


def _best(name: str, parts: dict[str, Any], parameters: int, note: str) -> System:
    """Return the tagger on a joint representation of ``parts``, whose dims lie in the order of the parts' names."""
    dims = [_DIMS[part] for part in sorted(parts)]
    heard = Input("joint", 16_000, 464_000, {"frames": 114, "parts": parts}, name=name.removeprefix("earmark-"))
    network = {"parts": dims, "members": 3, "dropout": 0.3}
    return System(
        name, SOURCE, "attentive_branches", heard, 114, sum(dims), "earmark-best", network, takes_minutes=True,
        parameters=parameters, note=note,
    )  # fmt: skip


OWN_ROWS = (
    _best("earmark-best", _HEARD, 1_126_140, "scattering, mel and CQT, from scratch"),
    _best(
        "earmark-best-musicnn", {**_HEARD, **_ENCODED}, 1_752_832,
        "and the published weights of musicnn (`earmark weights musicnn-mtt musicnn-msd`)",
    ),
)  # fmt: skip
