"""The embeddings of several layers of an encoder, in a folder of shards each, out of one pass over the clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark import devices, progress
from earmark.config import ConfigError, RepresentationConfig
from earmark.decode.audio import from_stored
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.features import extract
from earmark.representations import encoder
from earmark.representations.base import OptionError, check_wave
from earmark.storage import memory, provenance, shards
from earmark.storage.makers import stale, stale_reason
from earmark.storage.shards import ShardWriter

LARGEST_BATCH = 16  # clips that are encoded at one time


def open_layers(name: str, config: RepresentationConfig, layers: Sequence[str | None]) -> encoder.Backend:
    """Return the network of an encoder, which gives these layers. config: resolved, so that no option is missing.

    Raises ConfigError, which names the entry ``name`` of ``encoders``, if there is no such layer.
    """
    options = config.options()
    path = encoder.located(options["file"])
    try:
        return encoder.opened(path, config.rate, config.samples, layers, options.get("hop"), options.get("front"))
    except OptionError as error:
        raise ConfigError(error.of(name)) from None


@dataclass(frozen=True)
class _Target:
    """A shard of one layer that is to be written."""

    path: Path
    config: RepresentationConfig
    fingerprint: str


def cache(
    name: str, config: RepresentationConfig, layers: Sequence[str], waveforms: Waveforms, out: Path
) -> dict[str, Path]:
    """Compute the embeddings of layers that are not cached yet, and return the folder of shards of each layer.

    name: the entry of ``encoders``. config: its settings, resolved. A shard that was made of the same waveforms, file,
    options and code stays. What is lacking in a shard, of whatever layers, comes out of one pass over its clips. A
    killed run loses the shard that it was at.

    Raises EarmarkError if there is no such layer, or if the network fails or gives NaN.
    """
    folders = {layer: out / quote(layer, safe="") for layer in layers}
    settings = {layer: config.with_options(config.options() | {"layer": layer}) for layer in layers}
    targets = {
        (shard, layer): _Target(
            folders[layer] / f"{shard}.h5", settings[layer], _mark(found.fingerprint, settings[layer])
        )
        for shard, found in waveforms.shards.items()
        for layer in layers
    }
    again = _lacking(name, config, layers, waveforms, targets)
    if again:
        clips = sum(waveforms.shards[shard].rows for shard in again)
        sources = waveforms.ready(again, out)
        with progress.bar(clips, f"probe {name}", "clip") as bar:
            for wanted, names in _grouped(again):
                network = _Pass(name, config, wanted)
                for shard in names:
                    network.write(sources[shard], {layer: targets[shard, layer] for layer in wanted}, bar.update)
    for folder in folders.values():
        shards.remove_others(folder, set(waveforms.shards))
    return folders


def _mark(waveforms: str, config: RepresentationConfig) -> str:
    """Return the fingerprint of a shard; onnxruntime may round otherwise if one layer is asked for and not several."""
    settings, code = config.model_dump(mode="json"), provenance.digest("features-encoder")
    return provenance.fingerprint(waveforms=waveforms, settings=settings, code=code, several=True)


def _lacking(
    name: str,
    config: RepresentationConfig,
    layers: Sequence[str],
    waveforms: Waveforms,
    targets: Mapping[tuple[str, str], _Target],
) -> dict[str, list[str]]:
    """Return the layers that are to be computed, by shard; those of one layer must have the same makers."""
    held = {key: _made_by(target) for key, target in targets.items()}
    names = list(waveforms.shards)
    here = extract.makers(config)
    for makers in waveforms.makers(names).values():  # the same of all
        here |= makers
    again: dict[str, list[str]] = {}
    for layer in layers:
        of_layer = {shard: held[shard, layer] for shard in names}
        found = stale(of_layer, here)
        if line := stale_reason(of_layer, found, here):
            progress.say(f"probe {name}", f"{layer}: {line}")
        for shard in sorted(found):
            again.setdefault(shard, []).append(layer)
    return again


def _made_by(target: _Target) -> dict[str, str] | None:
    """Return the makers of a shard, None if it is absent, damaged or made of something else."""
    fingerprint, found = shards.marks_of(target.path)
    return json.loads(found or "{}") if fingerprint == target.fingerprint else None


def _grouped(again: Mapping[str, list[str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the layers that a network is opened for, and the shards that lack just these."""
    for wanted in dict.fromkeys(map(tuple, again.values())):
        yield list(wanted), [shard for shard, layers in again.items() if tuple(layers) == wanted]


class _Pass:
    """A network that gives some of its layers, on the device, in batches that fit into memory."""

    def __init__(self, name: str, config: RepresentationConfig, layers: Sequence[str]) -> None:
        memory.keep()
        options = config.options()
        self.name, self.config, self.layers = name, config, layers
        self.file, self.pooling = Path(options["file"]), options["pooling"]
        self.device = devices.device()
        network = open_layers(name, config, layers)
        shapes = dict(zip(layers, network.shapes, strict=True))
        self.shapes = {layer: encoder.pooled_shape(shape, self.pooling) for layer, shape in shapes.items()}
        self.axes = {
            layer: encoder.axes(network, shape, self.pooling, options["sha256"]) for layer, shape in shapes.items()
        }
        taken = network.bytes_per_clip + 8 * sum(map(prod, shapes.values()))
        self.batch = min(LARGEST_BATCH, max(1, devices.free_bytes(self.device) // (2 * taken)))
        self.network = network.to(self.device)

    def write(self, source: Path, targets: Mapping[str, _Target], done: Callable[[int], object]) -> None:
        """Write the shards of all layers of one shard of waveforms; the rows keep their order."""
        with shards.open_shard(source) as file, ExitStack() as stack:
            ids = [i.decode() for i in file["clip_id"][:]]
            writers = {
                layer: stack.enter_context(
                    ShardWriter(target.path, "features", len(ids), self.shapes[layer], self.config.dtype)
                )
                for layer, target in targets.items()
            }
            start = 0
            while start < len(ids):
                found = self._encoded(from_stored(file["waveform"][start : start + self.batch, : self.config.samples]))
                rows = len(next(iter(found.values())))
                for layer, values in found.items():
                    writers[layer].append(ids[start : start + rows], values)
                start += rows
                done(rows)
            for layer, target in targets.items():
                writers[layer].axes = self.axes[layer]
                writers[layer].attributes = self._about(target, file)

    def _about(self, target: _Target, file: h5py.File) -> dict[str, Any]:
        """Return what a shard says about itself, as those of the stage ``encode`` do."""
        return {
            "code": provenance.digest("features-encoder"),
            "config": target.config.model_dump(mode="json"),
            "fingerprint": target.fingerprint,
            "makers": extract.makers(self.config) | shards.attribute(file, "makers"),
            "waveform_config": shards.attribute(file, "config"),
            "waveforms": str(file.attrs["fingerprint"]),
        }

    def _encoded(self, waves: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the features of each layer for as many of the first waves as fit into memory."""
        try:
            with torch.no_grad():
                wave = torch.from_numpy(waves).to(self.device)
                check_wave(wave, self.config.samples)
                layers = zip(self.layers, self.network(wave), strict=True)
                return {layer: self._pooled(layer, found).cpu().numpy() for layer, found in layers}
        except (RuntimeError, MemoryError) as error:
            if not devices.lacks_memory(error) or len(waves) == 1:
                raise
        self.batch = len(waves) // 2
        progress.line(f"probe: {len(waves)} clips at once do not fit into memory, going on with {self.batch}")
        return self._encoded(waves[: self.batch])

    def _pooled(self, layer: str, found: Tensor) -> Tensor:
        try:
            return encoder.pooled(found, self.pooling, self.file)
        except ValueError as error:
            raise EarmarkError(f"encoders.{self.name}, layer {layer}: {error}; --layers leaves it out") from None
