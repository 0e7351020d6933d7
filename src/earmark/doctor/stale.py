"""Shards that no longer are what params.yaml, the code and the music would make: what `dvc repro` will compute."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from earmark import representations
from earmark.config import Config
from earmark.decode import waveform_store
from earmark.decode.index import INDEX, Index
from earmark.doctor.lines import Line
from earmark.storage import provenance

AGAIN = "`dvc repro` makes them again, and only them"


def shards(config: Config, data: Path) -> Iterator[Line]:
    """Tell of each rate and representation how many of its shards are there, and how many are stale, and why.

    The checksums of their contents are not read: the stage that uses a shard does so.
    """
    indices: dict[int, Index] = {}
    for rate in config.waveforms:
        folder = data / "waveforms" / str(rate)
        if (folder / INDEX).is_file():
            indices[rate] = Index.read(folder)
            yield _waveforms(f"{rate} Hz", indices[rate], config.waveforms[rate].stored(rate), folder)
    for name, setting in config.heard.items():
        folder = data / "features" / name
        if folder.is_dir() and setting.rate in indices:
            yield _features(name, representations.resolve(setting, name), indices[setting.rate], folder)


def _waveforms(name: str, index: Index, settings: dict[str, Any], folder: Path) -> Line:
    why = "of other settings" if index.settings != settings else ""
    why = why or ("of other code" if index.code != provenance.digest("decode") else "")
    store = waveform_store.root(folder)
    held = sum(waveform_store.place(store, entry.fingerprint).is_file() for entry in index.shards.values())
    text = f"{name}: {held} of {len(index.shards)} shards of waveforms are in {store}"
    if why:
        return Line("shards", "warning", f"{text}, {why}", AGAIN)
    rest = "; the others are decoded again when features need them" if held < len(index.shards) else ""
    return Line("shards", "ok", f"{text}{rest}")


def _features(name: str, setting: Any, index: Index, folder: Path) -> Line:
    code = provenance.digest(representations.consumer(setting))
    wanted = {"config": setting.model_dump(mode="json"), "code": code}
    found: Counter[str] = Counter()
    for shard, entry in index.shards.items():
        found[_state(folder / f"{shard}.h5", wanted | {"waveforms": entry.fingerprint})] += 1
    extra = len({path.stem for path in folder.glob("*.h5")} - set(index.shards))
    left = len(list(folder.glob(".*.h5.*")))
    wrong = [f"{count} {why}" for why, count in sorted(found.items()) if why]
    wrong += [f"{extra} of no folder of the corpus"] if extra else []
    wrong += [f"{left} left by a killed run"] if left else []
    text = f"{name}: {found['']} of {len(index.shards)} shards are up to date"
    return Line("shards", "warning" if wrong else "ok", "; ".join([text, *wrong]), AGAIN if wrong else "")


def _state(path: Path, wanted: dict[str, Any]) -> str:
    """Return why a shard of features is stale, empty if it is not."""
    try:
        with h5py.File(path, "r") as file:
            marks = {key: str(file.attrs[key]) for key in wanted}
    except FileNotFoundError:
        return "not there"
    except (OSError, KeyError):
        return "damaged"
    if json.loads(marks["config"]) != wanted["config"]:
        return "of other settings"
    if marks["code"] != wanted["code"]:
        return "of other code"
    return "of other waveforms" if marks["waveforms"] != wanted["waveforms"] else ""
