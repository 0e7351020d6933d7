"""The one registry of representations: a name and options in, a batched transform out.

A kind is a module of this package with a top-level `build`, its class or a function: a new file is a new kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.storage import provenance

if TYPE_CHECKING:
    from earmark.representations.base import Representation

KINDS: tuple[str, ...]  # `kinds()`, found when first asked for
_COMMON = ("kind", "rate", "samples", "dtype")  # settings that every kind has


def of(settings: Mapping[str, Any], name: str | None = None) -> Representation:
    """Build the representation that an entry of params.yaml, or a shard's `config`, describes.

    settings: kind, rate (Hz), samples per clip and the kind's own options; how features are stored (dtype) is left out.
    name: what errors call it. Raises ValueError as `build` does.
    """
    options = {key: value for key, value in settings.items() if key not in _COMMON}
    return build(settings["kind"], rate=settings["rate"], n_samples=settings["samples"], name=name, **options)


def kinds() -> tuple[str, ...]:
    """Return the names that `build` knows, sorted; read from the files, so that no transform is imported for it."""
    return tuple(sorted({name for folder in __path__ for name in provenance.builders(Path(folder))}))


def __getattr__(name: str) -> Any:
    if name == "KINDS":
        return kinds()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def build(kind: str, *, rate: int, n_samples: int, name: str | None = None, **options: Any) -> Representation:
    """Build the representation called `kind`, one of `KINDS`.

    rate: Hz of the clips. n_samples: samples per clip. options: as the class of that kind documents them.
    name: what errors call it, the entry of `representations` in params.yaml (default: the kind).

    Raises:
        ValueError: an unknown kind or option, or a value out of its limits.

    """
    if kind not in kinds():
        entry = f"representations.{name}.kind" if name else "representation kind"
        raise ValueError(f"{entry} must be one of {', '.join(kinds())}, got {kind!r}")
    from earmark.representations.base import OptionError

    try:
        transform: Representation = import_module(f"{__name__}.{kind}").build(rate=rate, n_samples=n_samples, **options)
    except OptionError as error:
        raise ValueError(error.of(name or kind)) from None
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"representations.{name or kind}: {str(error).split('.')[-1].split('() ')[-1]}") from error
    return transform
