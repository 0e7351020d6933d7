"""A clip of the corpus as the pipeline has it: its wave in the store, its features in their shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.config import Config
from earmark.corpus.manifest import Clip, read_manifest, read_tags
from earmark.decode import waveform_store
from earmark.decode.audio import from_stored
from earmark.decode.index import INDEX, Index
from earmark.errors import EarmarkError
from earmark.sections import near
from earmark.storage import shards


@dataclass(frozen=True)
class Held:
    """What is held of one clip.

    waves: (segments, samples) by rate in Hz. features: (segments, frames, dims) by representation. absent: what is not
    there, with the reason, by rate or representation.
    """

    clip: Clip
    tags: tuple[str, ...]
    waves: dict[int, NDArray[np.float32]]
    features: dict[str, NDArray[np.float32]]
    absent: dict[str, str]

    def about(self) -> str:
        """Return a line about the clip."""
        clip = self.clip
        told = f"{clip.path}, {clip.split}, song {clip.song}, artist {clip.artist}, shard {clip.shard}"
        return f"clip {clip.clip_id}: {told}; tags: {', '.join(self.tags) or 'none'}"


def held(config: Config, data: Path, clip_id: str) -> Held:
    """Return what ``data`` and the store of waveforms hold of a clip.

    Raises EarmarkError if the manifest does not have it; what is damaged or not there is noted.
    """
    manifest = data / "corpus/manifest.csv"
    clips = {clip.clip_id: clip for clip in read_manifest(manifest)}
    if clip_id not in clips:
        raise EarmarkError(f"{manifest} has no clip {clip_id!r}{near(clip_id, clips)}: it has {len(clips)} clips")
    clip = clips[clip_id]
    found = Held(clip, _tags(data, clip_id), {}, {}, {})
    for rate in config.waveforms:
        folder = data / "waveforms" / str(rate)
        try:
            entry = Index.read(folder).shards.get(clip.shard)
            if entry is None:
                raise EarmarkError(f"{folder / INDEX} has no shard {clip.shard}; run `dvc repro decode@{rate}`")
            rejects = {row[0]: row[2] for row in entry.rejected}
            if clip_id in rejects:
                raise EarmarkError(f"rejected: {rejects[clip_id]}")
            place = waveform_store.place(waveform_store.root(folder), entry.fingerprint)
            found.waves[rate] = from_stored(_rows(place, "waveform", clip_id))
        except EarmarkError as error:
            found.absent[f"{rate} Hz"] = str(error)
    for name in config.heard:
        try:
            found.features[name] = _rows(data / "features" / name / f"{clip.shard}.h5", "features", clip_id)
        except EarmarkError as error:
            found.absent[name] = str(error)
    return found


def _tags(data: Path, clip_id: str) -> tuple[str, ...]:
    table = read_tags(data / "corpus/tags.csv")
    if clip_id not in table.clip_ids:
        return ()
    return table.names(table.clip_ids.index(clip_id))


def _rows(path: Path, name: str, clip_id: str) -> NDArray[np.float32]:
    """Return a clip's rows of a shard. Raises ShardError if the shard cannot be used, or has none of them."""
    with shards.open_shard(path) as file:
        ids = file["clip_id"][:].astype(str)
        places = np.flatnonzero(ids == clip_id).tolist()
        if not places:
            raise shards.ShardError(f"{path} has no row of clip {clip_id}: it was rejected, or is new")
        return shards.read_rows(file, places) if name == "features" else file[name][places]
