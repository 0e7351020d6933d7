"""What embeds: a layer of a trained model, or an entry of ``encoders``, with the way from an audio file to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import devices, predict, representations
from earmark.config import Config, ConfigError, RepresentationConfig
from earmark.config import load as read_config
from earmark.decode import corpus as decode
from earmark.embeddings import pooling
from earmark.encoders.layers import LayerOutputs
from earmark.errors import EarmarkError
from earmark.features.listener import Listener
from earmark.features.segments import Decoded
from earmark.features.standardize import Standardizer
from earmark.files import digest
from earmark.models.saved import FILE, SavedModel
from earmark.sections import near
from earmark.storage import provenance
from earmark.travel.folder import model_files
from earmark.weights import registry


class Rows(NamedTuple):
    """What is made of a file: the second at which each segment begins, its embedding (width,), what the file lacks."""

    starts: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    incomplete: str


@dataclass(frozen=True)
class Embedder:
    """One layer of one network, for any number of audio files.

    name: an experiment, published weights, an entry of ``encoders``, or the stem of a file. layer: None is what the
    network's last linear layer gets, or what an encoder gives by default. listener: from a file to features.
    segments: from standardised features (segments, frames, dims) to (segments, width). mark: all that decides the
    values, as texts: the model and its SHA-256, layer, settings, code, makers. saved: the model; None for an encoder.
    """

    name: str
    layer: str | None
    listener: Listener
    segments: Callable[[Tensor], NDArray[np.float32]]
    mark: Mapping[str, str]
    saved: SavedModel | None

    def embed(self, path: Path) -> NDArray[np.float32]:
        """Return the embedding of an audio file of any length, (width,): the mean over its segments.

        Raises RejectedError if the file cannot be decoded, or is shorter than the pipeline accepts.
        """
        found = self.rows(path)
        if found.incomplete:
            print(f"warning: {path}: {found.incomplete}", file=sys.stderr)
        return found.embeddings.mean(axis=0)

    def rows(self, path: Path, blocks: Decoded | None = None) -> Rows:
        """Return the embeddings of the segments of a file; blocks: of it, if some have been decoded already.

        Raises RejectedError as ``embed`` does.
        """
        hearing = self.listener.hearing(path, blocks)
        parts = [(batch.starts, self.segments(batch.features)) for batch in hearing]
        starts, embeddings = zip(*parts, strict=True)
        return Rows(np.concatenate(starts), np.concatenate(embeddings), hearing.incomplete)


def open_embedder(params: Path, model: str | None, layer: str | None, data: Path) -> Embedder:
    """Open what ``--model`` names: what ``predict`` takes, or an entry of ``encoders`` of params.yaml.

    An experiment goes before an encoder of its name, and this before published weights. Without a name it is the first
    experiment.

    Raises EarmarkError if there is nothing of that name, if it cannot be used, or if it has no such layer.
    """
    config = read_config(params) if params.is_file() else None
    if config is not None and model in config.encoders and model not in config.experiments:
        return _of_encoder(config, str(model), layer)
    try:
        file = predict.locate(config, params, model, data)
    except ConfigError as error:
        if config is None or not config.encoders:
            raise
        close = near(str(model), [*config.experiments, *config.encoders, *registry.WEIGHTS])
        raise ConfigError(f"{error}; encoders are {', '.join(sorted(config.encoders))}{close}") from None
    known = config is not None and model in (None, *config.experiments)
    return _of_model(predict.opened(file, params=params), file, model if known else None, layer)


def _of_model(predictor: predict.Predictor, file: Path, name: str | None, layer: str | None) -> Embedder:
    saved, file = predictor.saved, file if file.is_file() else model_files(file)[0]
    try:
        taken = LayerOutputs(predictor.model, [layer])
    except EarmarkError as error:
        raise EarmarkError(f"{file}: {error}") from None
    excerpt, n_excerpts = predictor.excerpts
    segments = partial(pooling.of_layer, taken, excerpt=excerpt, n_excerpts=n_excerpts)
    name = name or (saved.experiment if file.name == FILE else file.stem)
    mark = _mark(name, layer, digest(file), predictor.listener, saved.network["family"])
    return Embedder(name, layer, predictor.listener, segments, mark, saved)


def _of_encoder(config: Config, name: str, layer: str | None) -> Embedder:
    """Return an entry of ``encoders``: a file is heard in segments, as the clips of the corpus are."""
    entry = config.encoders[name]
    if layer is not None:
        entry = entry.with_options(entry.options() | {"layer": layer})
    entry = representations.resolve(entry, name)
    neutral = Standardizer(np.zeros(1, np.float32), np.ones(1, np.float32), 0)  # of whatever dims
    listener = Listener(entry, config.waveforms[entry.rate], neutral)
    layer = entry.options().get("layer")
    mark = _mark(name, layer, entry.options()["sha256"], listener, None)
    return Embedder(name, layer, listener, pooling.over_frames, mark, None)


def _mark(name: str, layer: str | None, sha256: str, listener: Listener, family: str | None) -> dict[str, str]:
    heard = listener.representation
    settings = {"representation": heard.model_dump(mode="json"), "waveform": listener.waveform.stored(heard.rate)}
    cpu = devices.kind(torch.device("cpu"))
    makers = provenance.makers("torch", "scipy", *representations.libraries(heard), device=cpu)
    return {
        "model": name,
        "layer": layer or "",
        "sha256": sha256,
        "settings": _text(settings),
        "code": _text(_code(heard, family)),
        "makers": _text(makers | dict(decode.makers())),
    }


def _text(content: Mapping[str, object]) -> str:
    return json.dumps(content, sort_keys=True)


def _code(heard: RepresentationConfig, family: str | None) -> dict[str, str]:
    """Return the digests of the code that makes features, and of the code that makes embeddings of them."""
    roots = ["features.listener", "embeddings.pooling", *([f"models.{family}"] if family else [])]
    found = [provenance.module_file(f"{provenance.PACKAGE.name}.{name}") for name in roots]
    files = provenance.closure(file for file in found if file is not None)
    sources = {file.relative_to(provenance.PACKAGE).as_posix(): provenance.source_digest(file) for file in files}
    return {"features": provenance.digest(representations.consumer(heard)), "embedding": provenance.digest_of(sources)}
