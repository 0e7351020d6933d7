"""The one registry of representations: a name and options in, a batched transform out.

A kind is a module of this package with a top-level `build`, its class or a function: a new file is a new kind. The
options of a kind, their types and their defaults stand in the signature of its `build`, and nowhere else. Beside it, a
kind may have the functions `pinned`, `libraries`, `completed` and `kinds` (see `encoder` and `joint`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from earmark.storage import memory, provenance

if TYPE_CHECKING:
    from earmark.config import RepresentationConfig
    from earmark.representations.base import Representation

INPUTS = ("rate", "n_samples")  # what `build` takes beside the options of the kind


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds, sorted. They are read from the files, and no transform is imported."""
    return tuple(provenance.plugins("representations"))


def options(kind: str) -> dict[str, inspect.Parameter]:
    """Return the options of a kind by name, as parameters with type and default: all but `rate` and `n_samples`."""
    from earmark import doors

    return doors.options("representations", kind, *INPUTS)


def resolve(config: RepresentationConfig, name: str | None = None) -> RepresentationConfig:
    """Return `config` with every option of its kind, validated against the signature of the kind's `build`.

    Shards and models hold the result, and fingerprints are made of it. A rare option (`base.Rare`) is left out if it
    has its default. A kind that reads a file adds the file's digest (`pinned` of its module); one that has parts
    completes these (`completed`).

    name: what errors call it, the entry of `representations` in params.yaml (default: the kind).

    Raises ConfigError if the kind's file cannot be used, or if an option is unknown, missing or of another type.
    """
    from earmark.representations.base import OptionError, section_of
    from earmark.sections import ConfigError

    above = (section_of(config.kind), name or config.kind)
    try:
        found = complete(config.kind, config.options(), above)
        completed = hook(config.kind, "completed")
        return config.with_options(found if completed is None else completed(found, config, above))
    except OptionError as error:
        raise ConfigError(error.of(name or config.kind)) from None


def complete(kind: str, given: Mapping[str, Any], above: Sequence[str]) -> dict[str, Any]:
    """Return every option of a kind, as in `resolve`. above: the keys of params.yaml that lead to the options.

    Raises ConfigError as `resolve` does, and OptionError if a file that an option names is not there.
    """
    from earmark import doors
    from earmark.representations.base import RARE

    found, pinned = doors.complete("representations", kind, given, above, INPUTS, RARE), hook(kind, "pinned")
    return found if pinned is None else dict(pinned(found))


def of(config: RepresentationConfig, name: str | None = None) -> Representation:
    """Build the representation that an entry of params.yaml, a shard or a model describes.

    name: what errors call it, as in `resolve`.

    Raises ConfigError as `resolve` does, if an option is out of its limits, and if the kind's own code fails.
    """
    from earmark import doors
    from earmark.representations.base import section_of
    from earmark.sections import ConfigError

    config = resolve(config, name)
    try:
        found = build(config.kind, rate=config.rate, n_samples=config.samples, name=name, **config.options())
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except MemoryError:
        raise
    except Exception as error:
        where = f"{section_of(config.kind)}.{name or config.kind}"
        raise ConfigError(f"{where}: {doors.fault(error, 'representations', config.kind)}") from error
    if found.bytes_per_clip > (free := memory.available()):
        raise ConfigError(
            f"{section_of(config.kind)}.{name or config.kind}: one clip takes {found.bytes_per_clip / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free: fewer samples, frames or dims"
        )
    return found


def bytes_of_a_clip(config: RepresentationConfig, name: str | None = None) -> int:
    """Return how many bytes the stored features of one clip take. Raises as ``of`` does."""
    transform = of(config, name)
    return transform.n_frames * transform.n_dims * (2 if config.dtype == "float16" else 4)


def build(kind: str, *, rate: int, n_samples: int, name: str | None = None, **options: Any) -> Representation:
    """Build the representation of that kind from values that need no validation of their types.

    rate: Hz of the clips. n_samples: samples per clip. options: those that the class of the kind documents.
    name: what errors call it, as in `resolve`.

    Raises ValueError if the kind or an option is unknown, or if a value is out of its limits.
    """
    if kind not in kinds():
        entry = f"representations.{name}.kind" if name else "representation kind"
        raise ValueError(f"{entry} must be one of {', '.join(kinds())}, got {kind!r}")
    from earmark.representations.base import OptionError

    try:
        return _build(kind)(rate=rate, n_samples=n_samples, **options)
    except OptionError as error:
        raise ValueError(error.of(name or kind)) from None
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"representations.{name or kind}: {str(error).split('.')[-1].split('() ')[-1]}") from error


def libraries(config: RepresentationConfig) -> tuple[str, ...]:
    """Return the packages that compute it, beside those that compute every representation."""
    named = hook(config.kind, "libraries")
    return () if named is None else named(config.options())


def consumer(config: RepresentationConfig) -> str:
    """Return the name, for `provenance.digest`, of the code that computes it: its kind, and the kinds of its parts."""
    parts = hook(config.kind, "kinds")
    return f"features-{'+'.join([config.kind, *([] if parts is None else parts(config.options()))])}"


def hook(kind: str, name: str) -> Any:
    """Return a function that a kind may have beside `build`, None if it has none of that name."""
    return getattr(_kind(kind), name, None)


def _build(kind: str) -> Any:
    return _kind(kind).build


def _kind(kind: str) -> Any:
    return import_module(f"{__name__}.{kind}")
