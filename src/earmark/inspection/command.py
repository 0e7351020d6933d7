"""`earmark inspect`: what an audio file or a clip of the corpus holds. It looks, and changes nothing."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from earmark import progress, representations
from earmark.config import Config, RepresentationConfig, WaveformConfig, load
from earmark.decode import pool
from earmark.decode.audio import RejectedError, cut, from_stored, to_stored
from earmark.decode.audio_files import Listing, listed, why_not
from earmark.decode.inspection import inspected
from earmark.errors import EarmarkError
from earmark.features.ahead import ahead
from earmark.inspection import clip, picture
from earmark.representations.base import Representation


def run(args: Namespace) -> int:
    """Print what each file, or a clip, holds, and draw it if asked to; return 1 if that failed for one of them.

    Raises EarmarkError if neither or both are named, if a picture is wanted of several files, or if the clip is not
    there.
    """
    if bool(args.file) == (args.clip is not None):
        raise EarmarkError("name an audio file or a folder, or a clip of the corpus by --clip ID, and not both")
    config = load(args.params)
    if args.clip is not None:
        return _clip(config, args.data, args.clip, args.plot)
    found = listed(args.file)
    if args.plot is not None and len(found.files) != 1:
        raise EarmarkError(f"--plot {args.plot} is a picture of one file, got {len(found.files)}")
    return _files(config, found, args.plot)


def _files(config: Config, found: Listing, plot: Path | None) -> int:
    settings = config.heard
    transforms = {name: representations.of(setting, name) for name, setting in settings.items()}
    drawn = picture.settings(config) if plot is not None else {}
    wanted = [*settings.values(), *drawn.values()]
    longest = {one.rate: max(s.samples for s in wanted if s.rate == one.rate) for one in wanted}
    progress.detail(f"inspect: {len(found.files)} files, EARMARK_WORKERS {pool.workers()}")
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
                if plot is not None:
                    picture.draw(waves, config, Path(name).name, plot)
                    progress.show(f"  drawn in {plot}")
            except (RejectedError, UnicodeEncodeError) as error:
                progress.line(f"{name}: {why_not(error)}")
                failed += 1
            bar.update()
    if found.others:
        print(found.left_out(), file=sys.stderr)
    return 1 if failed else 0


def _clip(config: Config, data: Path, clip_id: str, plot: Path | None) -> int:
    """Print what is held of a clip of the corpus; return 1 if it has no wave, or lacks features."""
    found = clip.held(config, data, clip_id)
    print(found.about())
    for rate, waves in found.waves.items():
        print(f"  {f'{rate} Hz':<12} {len(waves)} x {waves.shape[1] / rate:.2f} s, peak {np.abs(waves).max():.3f}")
    for name, features in found.features.items():
        print(f"  {name:<12} {_measured(torch.from_numpy(features[0]))}{_of_several(features)}")
    for name, why in found.absent.items():
        print(f"  {name:<12} not there: {why}")
    if plot is not None:
        if not found.waves:
            raise EarmarkError(f"clip {clip_id} cannot be drawn: {'; '.join(dict.fromkeys(found.absent.values()))}")
        for kind, setting in picture.settings(config).items():
            if setting.rate not in found.waves:
                print(f"  {kind:<12} not drawn: it hears the wave at {setting.rate} Hz")
        title = f"{found.clip.path}{_of_several(next(iter(found.waves.values())))}"
        picture.draw({rate: waves[0] for rate, waves in found.waves.items()}, config, title, plot)
        print(f"  drawn in {plot}")
    return 1 if found.absent else 0


def _of_several(rows: NDArray[np.float32]) -> str:
    return f" (segment 1 of {len(rows)})" if len(rows) > 1 else ""


def _seen(
    wave: NDArray[np.float32], setting: RepresentationConfig, clip: WaveformConfig, transform: Representation
) -> str:
    """Return in words what a representation makes of the beginning of a file."""
    heard = from_stored(to_stored(cut(wave, setting.samples, "pad"), clip.dtype))
    with torch.no_grad():
        features = transform(torch.from_numpy(heard))[0]
    lacking = setting.samples - len(wave)
    padded = f", {lacking / setting.rate:.1f} s of zeros at the end" if lacking > 0 else ""
    return f"{_measured(features)}{padded}"


def _measured(features: torch.Tensor) -> str:
    """Return in words the shape and the values of features, (frames, dims)."""
    return (
        f"{features.shape[0]} frames x {features.shape[1]} dims, {features.min():.3f} to {features.max():.3f}, "
        f"mean {features.mean():.3f}"
    )
