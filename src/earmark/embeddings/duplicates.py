"""Clips of two splits that may be one recording under two names: what a network has heard, it should not be tested on.

A clip is the mean and the deviation over time of its features, every dim of which is standardised over the corpus. The
distance of two clips is the median over the dims of how far they are apart: a codec that takes away the highest bands
changes some dims much, and most of them hardly. What is usual between a clip and the nearest one of another song
depends on the corpus, and so distances are told as a share of it. On two corpora, by log-scattering (the demo, and 491
clips of Emotify), nine of ten copies that were encoded anew, as MP3 of a low rate or as Ogg Vorbis, lay below 0.18. The
lowest share of two recordings was 0.35, of two remixes of one piece; that of one song on two albums was 0.13 and 0.16.
A copy that is louder or softer, or that begins elsewhere, is not found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark import progress
from earmark.config import Config
from earmark.corpus.label_table import read_labels
from earmark.corpus.manifest import SPLITS, Clip
from earmark.embeddings.corpus import clips_of, features_of
from earmark.errors import EarmarkError
from earmark.storage import shards

SUSPECT = 0.25  # of the usual distance to the nearest clip of another song
_CANDIDATES = 10  # by Euclidean distance, of which the nearest one by the median is taken
_ROWS = 32  # of a shard that are read at one time


@dataclass(frozen=True)
class Pair:
    """Two clips of different songs and splits, and their distance as a share of the usual one."""

    share: float
    first: Clip
    second: Clip

    def line(self) -> str:
        """Return it for the terminal."""
        told = (f"{clip.path} ({clip.split})" for clip in (self.first, self.second))
        return f"  {self.share:.3f}  {' = '.join(told)}"


def check(config: Config, data: Path) -> str:
    """Return what is to be told of the corpus: the pairs, or how to make the features that they are looked for in.

    The features are those of the first experiment, and so are the splits, if its labels have been made.
    """
    if not config.experiments:
        return "near-duplicates: params.yaml has no experiment, whose features would be compared\n"
    experiment = next(iter(config.experiments.values()))
    try:
        folder = features_of(config, data, experiment.representation)
        clips = _dealt(clips_of(data), data / "labels" / experiment.labels / "labels.csv")
        pairs = near_duplicates(clips, described(folder, clips))
    except EarmarkError as error:
        return f"near-duplicates: {error}\n"
    what = f"near-duplicates across splits, by {experiment.representation}: {len(pairs)}"
    if not pairs:
        return f"{what}\n"
    hint = f"share of the usual distance to another song, below {SUSPECT:g}; listen whether they are one recording"
    return "\n".join([f"warning: {what} ({hint})", *(pair.line() for pair in pairs)]) + "\n"


def _dealt(clips: Sequence[Clip], labels: Path) -> list[Clip]:
    """Return the labelled clips with the splits that experiments use; all, as in the manifest, without labels."""
    if not labels.is_file():
        return list(clips)
    splits = {clip.clip_id: clip.split for clip in read_labels(labels)[0]}
    return [Clip(c.clip_id, c.path, c.shard, c.song, c.artist, splits[c.clip_id]) for c in clips if c.clip_id in splits]


def described(folder: Path, clips: Sequence[Clip]) -> dict[str, NDArray[np.float32]]:
    """Return mean and deviation over time of every clip that has features, (2 dims,), by its id."""
    wanted = {clip.clip_id for clip in clips}
    parts = defaultdict[str, list[NDArray[np.float32]]](list)
    files = shards.shard_files(folder)
    with progress.bar(len(files), "near-duplicates", "shard") as bar:
        for file in shards.open_all(folder):
            ids = [clip_id.decode() for clip_id in file["clip_id"][:]]
            rows = [row for row, clip_id in enumerate(ids) if clip_id in wanted]
            for start in range(0, len(rows), _ROWS):
                some = rows[start : start + _ROWS]
                features = shards.read_rows(file, some)
                both = np.concatenate([features.mean(axis=1), features.std(axis=1)], axis=1)
                for row, values in zip(some, both, strict=True):
                    parts[ids[row]].append(values)
            bar.update()
    return {clip_id: np.mean(segments, axis=0) for clip_id, segments in parts.items()}


def near_duplicates(clips: Sequence[Clip], vectors: dict[str, NDArray[np.float32]]) -> list[Pair]:
    """Return the pairs of clips of different splits and songs that are suspect, the nearest first.

    vectors: (width,) by the id of a clip; a clip without one is left out.
    """
    clips = [clip for clip in clips if clip.clip_id in vectors]
    if not clips:
        return []
    values = np.stack([vectors[clip.clip_id] for clip in clips])
    deviation = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    found: list[tuple[float, int, int]] = []
    for number, split in enumerate(SPLITS[:-1]):
        here = [i for i, clip in enumerate(clips) if clip.split == split]
        others = [i for i, clip in enumerate(clips) if clip.split in SPLITS[number + 1 :]]
        if here and others:
            found += _nearest(clips, values, here, others)
    usual = float(np.median([distance for distance, _, _ in found])) if found else 0.0
    suspects = [(distance / usual, a, b) for distance, a, b in sorted(found) if distance < SUSPECT * usual]
    return [Pair(share, clips[a], clips[b]) for share, a, b in suspects]


def _nearest(
    clips: Sequence[Clip], values: NDArray[np.float32], here: list[int], others: list[int]
) -> list[tuple[float, int, int]]:
    """Return, for every clip of ``others``, the nearest one of ``here`` that is of another song, and the distance."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(_CANDIDATES, len(here))).fit(values[here])
    found = []
    for other, rows in zip(others, index.kneighbors(values[others], return_distance=False), strict=True):
        candidates = [here[row] for row in rows if clips[here[row]].song != clips[other].song]
        if candidates:
            distances = np.median(np.abs(values[candidates] - values[other]), axis=1)
            best = int(distances.argmin())
            found.append((float(distances[best]), candidates[best], other))
    return found
