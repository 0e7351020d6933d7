"""Features and labels of a split as NumPy arrays, for scikit-learn or a loop of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.corpus.manifest import SPLITS
from earmark.errors import EarmarkError
from earmark.features import dataset


@dataclass(frozen=True)
class Examples:
    """One split, standardised as training sees it; ``features, labels = examples`` unpacks the two arrays.

    features: (clips, frames, dims). labels: (clips, tags) in {0, 1}. clip_ids, songs: clip and song of each row. tags:
    the names of the columns of ``labels``. If clips were cut into segments, each segment is a row.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.uint8]
    clip_ids: tuple[str, ...]
    songs: tuple[str, ...]
    tags: tuple[str, ...]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter((self.features, self.labels))


def load_features(
    representation: str, split: str = "train", labels: str | None = None, data: str | Path = "data"
) -> Examples:
    """Load the features that the pipeline has computed for a split, and the labels.

    representation: a key of ``representations`` in params.yaml. split: train, valid or test. labels: a key of
    ``labels``; it may be left out if there is only one. data: the folder that the pipeline fills.

    Raises EarmarkError if there is no such split, if the representation was not computed and standardised, if there are
    several sets of labels and none is named, or if no clip of the split has features.
    """
    if split not in SPLITS:
        raise EarmarkError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    data = Path(data)
    if labels is None:
        names = sorted(path.parent.name for path in data.glob("labels/*/labels.csv"))
        if len(names) != 1:
            there = f"there are {', '.join(names)}" if names else "there are none: run `dvc repro labels`"
            raise EarmarkError(f"labels must be named unless {data / 'labels'} holds one set of them; {there}")
        labels = names[0]
    standardizer = data / "standardize" / f"{representation}-{labels}.json"
    found = dataset.load(
        data / "features" / representation, data / "labels" / labels / "labels.csv", standardizer, split, "memory"
    )
    return Examples(
        np.asarray(found.features),
        found.targets.numpy().astype(np.uint8),
        tuple(clip.clip_id for clip in found.clips),
        tuple(clip.song for clip in found.clips),
        found.tags,
    )
