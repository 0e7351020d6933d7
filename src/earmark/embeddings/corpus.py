"""The embeddings of the corpus's clips, computed once and kept under ``data/embeddings``.

They are made of the feature shards that the pipeline has, if these are what the network hears; of the music otherwise.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from earmark import progress, representations
from earmark.config import Config
from earmark.corpus.manifest import Clip, read_manifest
from earmark.embeddings import pooling, run, table
from earmark.embeddings.embedder import Embedder
from earmark.embeddings.table import Entry
from earmark.embeddings.unfinished import Unfinished
from earmark.errors import EarmarkError
from earmark.features import dataset
from earmark.storage import shards

_ROWS = 32  # of a shard that are read at one time


@dataclass(frozen=True)
class CorpusEmbeddings:
    """The clips that have an embedding, in the order of the manifest, and the embeddings, (clips, width)."""

    clips: tuple[Clip, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Shards:
    """A folder of feature shards, and what makes embeddings (rows, width) of their rows (rows, frames, dims)."""

    folder: Path
    segments: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def of_corpus(config: Config, data: Path, embedder: Embedder) -> CorpusEmbeddings:
    """Return the embeddings of all clips of the corpus, and compute those that are not there yet.

    Raises EarmarkError if the corpus, its features or its music are missing; it names the command that makes them.
    """
    clips = clips_of(data)
    place = data / "embeddings" / f"{_file_name(embedder)}.h5"
    cached = shards_of(config, data, embedder)
    if cached is None:
        paths = {clip.path: config.corpus.audio / clip.path for clip in clips}
        print(f"no feature shards are what {embedder.name} hears: the music of the corpus is embedded", file=sys.stderr)
        done = run.embed_files(embedder, paths, place)
        if done.rejected:
            print(f"without an embedding: {len(done.rejected)} clips, see {run.rejects(place)}", file=sys.stderr)
    else:
        _from_shards(embedder, cached, clips, place)
    found = {entry.path: entry.embedding[0] for entry in table.read(place)}
    kept = tuple(clip for clip in clips if clip.path in found)
    return CorpusEmbeddings(kept, np.stack([found[clip.path] for clip in kept]))


def clips_of(data: Path) -> list[Clip]:
    """Return the clips of the corpus. Raises EarmarkError if the stage corpus has not run."""
    manifest = data / "corpus/manifest.csv"
    if not manifest.is_file():
        raise EarmarkError(f"{manifest} does not exist; run `dvc repro corpus`, or `dvc pull` it")
    return read_manifest(manifest)


def _file_name(embedder: Embedder) -> str:
    """Return what the file of the corpus's embeddings is called: the layer of an ONNX model may have slashes."""
    parts = [embedder.name, *([embedder.layer] if embedder.layer else [])]
    return "-".join(re.sub(r"[^\w.-]+", "_", part) for part in parts)


def shards_of(config: Config, data: Path, embedder: Embedder) -> Shards | None:
    """Return the feature shards that are just what an embedder hears, None if there are none of that kind.

    Raises EarmarkError if an experiment, or an entry of ``encoders``, has none yet; it names the command.
    """
    if embedder.saved is None:
        entry = config.encoders[embedder.name]
        own = representations.resolve(entry, embedder.name) == embedder.listener.representation
        return Shards(features_of(config, data, embedder.name), _pooled) if own else None
    if embedder.name in config.experiments:
        heard = config.experiments[embedder.name].representation
        folder = features_of(config, data, heard)
        origin, saved = dataset.origin(folder), embedder.saved
        same = origin.representation == saved.representation and origin.waveform == saved.waveform
        return Shards(folder, _standardised(embedder)) if same else None
    for name, entry in config.encoders.items():
        folder = data / "features" / name
        options = representations.resolve(entry, name).options()
        if next(folder.glob("*.h5"), None) is not None and _of_same_layer(options, embedder):
            return Shards(folder, _pooled)
    return None


def _of_same_layer(options: dict[str, object], embedder: Embedder) -> bool:
    """Tell whether an entry of ``encoders`` is the layer of a model, on windows one after the other."""
    plain = options.get("pooling") in ("mean", "none") and options.get("hop") is None
    return plain and options["sha256"] == embedder.mark["sha256"] and options.get("layer") == embedder.layer


def features_of(config: Config, data: Path, name: str) -> Path:
    """Return the folder of the feature shards of a representation, or of an entry of ``encoders``.

    Raises EarmarkError, with the command that makes them, if there are none.
    """
    folder = data / "features" / name
    if next(folder.glob("*.h5"), None) is None:
        stage = "encode" if name in config.encoders else "features"
        raise EarmarkError(f"{folder} holds no shard; run `dvc repro {stage}@{name}`, or `dvc pull` it")
    return folder


def _pooled(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return pooling.over_frames(torch.from_numpy(rows))


def _standardised(embedder: Embedder) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    standardizer = embedder.listener.standardizer
    return lambda rows: embedder.segments(torch.from_numpy((rows - standardizer.mean) * standardizer.inverse_std))


def _from_shards(embedder: Embedder, cached: Shards, clips: list[Clip], place: Path) -> None:
    """Bring the table of the corpus up to date: the clips of a shard are computed again if the shard has changed."""
    mark = {**embedder.mark, "rows": "files", "dtype": "float32", "shards": cached.folder.name}
    paths = {clip.clip_id: clip.path for clip in clips}
    with Unfinished(place, mark) as done:
        files, there = shards.shard_files(cached.folder), set[str]()
        with progress.bar(len(files), "embed the corpus", "shard") as bar:
            for file in shards.open_all(cached.folder):
                source = _source(file)
                rows = _rows_of(file["clip_id"][:], paths)
                there |= rows.keys()
                if any(done.sources.get(path) != source for path in rows):
                    for entry in _entries(file, rows, source, cached):
                        done.add(entry)
                    done.flush()
                bar.update()
        kept = [clip.path for clip in clips if clip.path in there]
        if not kept:
            raise EarmarkError(f"{cached.folder}: none of the {len(clips)} clips of the corpus has features")
        done.finish(kept, "float32", per_segment=False)


def _source(file: h5py.File) -> str:
    return str(file.attrs["fingerprint"])


def _rows_of(clip_ids: NDArray[np.bytes_], paths: dict[str, str]) -> dict[str, list[int]]:
    """Return the rows of every clip in a shard, by its path: several if clips are heard in segments."""
    rows = defaultdict[str, list[int]](list)
    for row, clip_id in enumerate(clip_ids):
        if (path := paths.get(clip_id.decode())) is not None:
            rows[path].append(row)
    return dict(rows)


def _entries(file: h5py.File, rows: dict[str, list[int]], source: str, cached: Shards) -> Iterator[Entry]:
    wanted = sorted(row for some in rows.values() for row in some)
    parts = [
        cached.segments(shards.read_rows(file, wanted[start : start + _ROWS])) for start in range(0, len(wanted), _ROWS)
    ]
    values = dict(zip(wanted, np.concatenate(parts), strict=True))
    for path, some in rows.items():
        yield Entry(path, source, np.zeros(1), np.stack([values[row] for row in some]).mean(axis=0)[None])
