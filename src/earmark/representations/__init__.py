"""The one registry of representations: a name and options in, a batched transform out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.representations.base import Representation

KINDS = ("scattering", "mel", "cqt", "waveform")
_COMMON = ("kind", "rate", "samples", "dtype")  # settings that every kind has


def of(settings: Mapping[str, Any]) -> Representation:
    """Build the representation that an entry of params.yaml, or a shard's `config`, describes.

    settings: kind, rate (Hz), samples per clip and the kind's own options; how features are stored (dtype) is left out.
    Raises ValueError as `build` does.
    """
    options = {key: value for key, value in settings.items() if key not in _COMMON}
    return build(settings["kind"], rate=settings["rate"], n_samples=settings["samples"], **options)


def build(kind: str, *, rate: int, n_samples: int, **options: Any) -> Representation:
    """Build the representation called `kind`, one of `KINDS`.

    rate: Hz of the clips. n_samples: samples per clip. options: as the class of that kind documents them.

    Raises:
        ValueError: an unknown kind or option, or a value out of its limits.

    """
    try:
        match kind:
            case "scattering":
                from earmark.representations.scattering import ScatteringFeatures

                return ScatteringFeatures(rate=rate, n_samples=n_samples, **options)
            case "mel":
                from earmark.representations.mel import Mel

                return Mel(rate=rate, n_samples=n_samples, **options)
            case "cqt":
                from earmark.representations.cqt import CQT

                return CQT(rate=rate, n_samples=n_samples, **options)
            case "waveform":
                from earmark.representations.waveform import Waveform

                return Waveform(rate=rate, n_samples=n_samples, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"representations.{kind}: {str(error).split('.')[-1].split('() ')[-1]}") from error
    raise ValueError(f"representation kind must be one of {', '.join(KINDS)}, got {kind!r}")
