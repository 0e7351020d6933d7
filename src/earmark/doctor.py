"""What this machine offers, and what an audio file holds: looks, and changes nothing."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import devices, progress, representations
from earmark.config import RepresentationConfig, WaveformConfig, load
from earmark.decode import pool
from earmark.decode.audio import RejectedError, cut, from_stored, to_stored
from earmark.decode.audio_files import listed
from earmark.decode.inspection import inspected
from earmark.decode.pool import workers
from earmark.errors import EarmarkError
from earmark.features.ahead import ahead
from earmark.representations.base import Representation
from earmark.training import validation

SHOWN = ("earmark", "torch", "pytorch-lightning", "dvc", "h5py", "librosa", "kymatio", "scikit-learn", "soundfile")

ITERATED = ("encoders", "crossvalidations")  # sections that may have no entry, but that DVC must find


def doctor(params: Path) -> int:
    """Print versions, cores, device, and whether ``params`` can be used; return 1 if anything cannot, else 0."""
    print(f"python            {platform.python_version()} on {platform.machine()}")
    for name in SHOWN:
        print(f"{name:<17} {_version(name)}")
    print(f"cores             {workers()} for decoding (EARMARK_WORKERS), torch uses {torch.get_num_threads()}")
    try:
        found = devices.device()
        shown = f"{found} (EARMARK_DEVICE), {devices.kind(found)}, {devices.free_bytes(found) / 2**30:.1f} GB free"
        failed = 0
    except EarmarkError as error:
        shown, failed = f"error: {error}", 1
    print(f"device            {shown}")
    missing = [name for name in ("music21", "pretty_midi") if _version(name) == "absent"]
    print(
        f"demo corpus       {'can be rendered' if not missing else 'needs ' + ', '.join(missing) + ': earmark[demo]'}"
    )
    if not params.exists():
        print(f"settings          {params} does not exist: no project here, or --params names another one")
        return failed
    try:
        config = load(params)
        validation.require(config)
        for section in ITERATED:
            if section not in config.model_fields_set:
                raise EarmarkError(
                    f"{params}: key {section} is missing, and dvc.yaml needs it: write `{section}: {{}}`"
                )
        print(f"settings          {params} can be used")
    except EarmarkError as error:
        print(f"settings          error: {error}")
        failed = 1
    return failed


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def inspect(named: Sequence[Path], params: Path) -> int:
    """Print what each audio file holds, and how each representation of ``params`` sees it; return 1 if one cannot.

    named: files, and folders with files at any depth.
    """
    config = load(params)
    settings = config.heard
    transforms = {name: representations.of(setting, name) for name, setting in settings.items()}
    longest = {one.rate: max(s.samples for s in settings.values() if s.rate == one.rate) for one in settings.values()}
    found = listed(named)
    failed = len(found.unread)
    for name, why in found.unread.items():
        print(f"{name}: {why}", file=sys.stderr)

    def read(name: str) -> tuple[str, dict[int, NDArray[np.float32]]]:
        return pool.shared().run(inspected, found.files[name], longest)

    with progress.bar(len(found.files), "inspect", "file") as bar:
        for name, file in ahead(read, found.files):
            try:
                about, waves = file.result()
                progress.show(f"{name}: {about}")
                for representation, transform in transforms.items():
                    rate = settings[representation].rate
                    seen = _seen(waves[rate], settings[representation], config.waveforms[rate], transform)
                    progress.show(f"  {representation:<12} {seen}")
            except (RejectedError, UnicodeEncodeError) as error:
                progress.line(f"{name}: {why_not(error)}")
                failed += 1
            bar.update()
    if found.others:
        print(found.left_out(), file=sys.stderr)
    return 1 if failed else 0


def _seen(
    wave: NDArray[np.float32], setting: RepresentationConfig, clip: WaveformConfig, transform: Representation
) -> str:
    """Return in words what a representation makes of the beginning of a file."""
    heard = from_stored(to_stored(cut(wave, setting.samples, "pad"), clip.dtype))
    with torch.no_grad():
        features = transform(torch.from_numpy(heard))[0]
    lacking = setting.samples - len(wave)
    padded = f", {lacking / setting.rate:.1f} s of zeros at the end" if lacking > 0 else ""
    return (
        f"{features.shape[0]} frames x {features.shape[1]} dims, {features.min():.3f} to {features.max():.3f}, "
        f"mean {features.mean():.3f}{padded}"
    )


def why_not(error: Exception) -> str:
    """Explain why a file cannot be heard; libsndfile takes UTF-8 names alone."""
    return "its name is not UTF-8: rename it" if isinstance(error, UnicodeEncodeError) else str(error)
