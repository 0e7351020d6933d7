"""What this machine offers, and what an audio file holds: looks, and changes nothing."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from earmark import devices, representations
from earmark.config import load
from earmark.decode.audio import RejectedError, decode, describe, from_stored, to_stored
from earmark.decode.pool import workers
from earmark.errors import EarmarkError
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


def inspect(files: Sequence[Path], params: Path) -> int:
    """Print what each audio file holds, and how each representation of ``params`` sees it; return 1 if one cannot."""
    config = load(params)
    settings = config.heard
    transforms = {name: representations.of(setting, name) for name, setting in settings.items()}
    failed = 0
    for path in files:
        try:
            print(f"{path}: {describe(path)}")
            for name, transform in transforms.items():
                setting = settings[name]
                wave = decode(path, setting.rate, setting.samples, 0.0)
                heard = from_stored(to_stored(wave.waves, config.waveforms[setting.rate].dtype))
                with torch.no_grad():
                    features = transform(torch.from_numpy(heard))[0]
                padded = f", {wave.padded / setting.rate:.1f} s of zeros at the end" if wave.padded else ""
                print(
                    f"  {name:<12} {features.shape[0]} frames x {features.shape[1]} dims, "
                    f"{features.min():.3f} to {features.max():.3f}, mean {features.mean():.3f}{padded}"
                )
        except (RejectedError, UnicodeEncodeError) as error:
            print(f"{path}: {why_not(error)}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def why_not(error: Exception) -> str:
    """Explain why a file cannot be heard; libsndfile takes UTF-8 names alone."""
    return "its name is not UTF-8: rename it" if isinstance(error, UnicodeEncodeError) else str(error)
