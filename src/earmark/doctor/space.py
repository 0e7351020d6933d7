"""How much the artefacts of the configured corpus will take on the disk, and how much of it is free."""

from __future__ import annotations

import math
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from earmark import representations
from earmark.config import Config
from earmark.corpus.manifest import read_manifest
from earmark.decode import audio_files, waveform_store
from earmark.decode.index import INDEX, Index
from earmark.doctor.lines import Line

TIGHT = 0.8  # the share of the free space from which there is a warning


def disk(config: Config, data: Path, copied: bool) -> Iterator[Line]:
    """Compare what is still to be written, per file system, with what is free there.

    copied: whether DVC's cache holds a copy of its own of all features. Models and scores are small, and not counted.
    """
    clips = _clips(config, data)
    if clips is None:
        yield Line("disk", "ok", f"{_free(data):.1f} GB free; how much is needed is known once the corpus is there")
        return
    wanted: dict[tuple[int, Path], float] = defaultdict(float)
    for place, size in _to_write(config, data, clips, copied):
        there = _existing(place)
        key = next((known for known in wanted if known[0] == there.stat().st_dev), (there.stat().st_dev, there))
        wanted[key] += size / 1e9
    for (_, place), needed in wanted.items():
        free = _free(place)
        text = f"{free:.1f} GB free at {place}; {clips} clips need {needed:.1f} GB more"
        if needed > free:
            yield Line("disk", "error", text, f"free {math.ceil(needed - free)} GB; `dvc gc -w` removes what is old")
        elif needed > TIGHT * free:
            yield Line("disk", "warning", text, "free some space: little would be left")
        else:
            yield Line("disk", "ok", text)


def _clips(config: Config, data: Path) -> int | None:
    """Return the number of the clips; None if the music is not there yet."""
    manifest = data / "corpus/manifest.csv"
    if manifest.is_file():
        return len(read_manifest(manifest))
    if config.corpus.kind == "demo" and config.corpus.demo is not None:
        return config.corpus.demo.clips
    return len(audio_files.listed([config.corpus.audio]).files) if config.corpus.audio.is_dir() else None


def _to_write(config: Config, data: Path, clips: int, copied: bool) -> Iterator[tuple[Path, float]]:
    """Yield folders and the bytes that are still to be written there."""
    rows = {}
    for rate, setting in config.waveforms.items():
        folder = data / "waveforms" / str(rate)
        known = Index.read(folder).shards.values() if (folder / INDEX).is_file() else ()
        rows[rate] = sum(entry.rows for entry in known) or clips * (setting.segments or 1)
        store = waveform_store.root(folder)
        held = (waveform_store.place(store, entry.fingerprint) for entry in known)
        width = 2 if setting.dtype == "int16" else 4
        yield store, max(0, rows[rate] * setting.samples * width - _size(held))
    for name, one in config.heard.items():
        transform = representations.of(one, name)
        width = 2 if one.dtype == "float16" else 4
        folder = data / "features" / name
        lacking = max(0, rows[one.rate] * transform.n_frames * transform.n_dims * width - _size(folder.glob("*.h5")))
        yield folder, lacking * (2 if copied else 1)


def _size(files: Iterator[Path]) -> int:
    return sum(path.stat().st_size for path in files if path.is_file())


def _existing(place: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.is_dir())


def _free(place: Path) -> float:
    """Return GB."""
    return shutil.disk_usage(_existing(place)).free / 1e9
