"""The one registry of representations: a name and options in, a batched transform out.

A kind is a module of this package with a top-level `build`, its class or a function: a new file is a new kind. The
signature of `build` is the only place with the kind's options, their types and their defaults.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from earmark.storage import provenance

if TYPE_CHECKING:
    from earmark.config import RepresentationConfig
    from earmark.representations.base import Representation


def kinds() -> tuple[str, ...]:
    """Return the names that `build` knows, sorted; read from the files, so that no transform is imported for it."""
    return tuple(provenance.plugins("representations"))


def options(kind: str) -> dict[str, inspect.Parameter]:
    """Return what the kind's `build` takes besides `rate` and `n_samples`: name, type and default of every option."""
    takes = inspect.signature(_build(kind), eval_str=True).parameters
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {key: p for key, p in takes.items() if key not in ("rate", "n_samples") and p.kind not in variable}


def resolve(config: RepresentationConfig, name: str | None = None) -> RepresentationConfig:
    """Return `config` with every option of its kind, validated against the signature of the kind's `build`.

    This is what shards and models hold, and what fingerprints are made of. An option that is rare (`base.Rare`) and has
    its default is left out.
    name: what errors call it, the entry of `representations` in params.yaml (default: the kind).

    Raises:
        ConfigError: an unknown option, a missing one, or one of another type.

    """
    from earmark.representations.base import RARE

    return config.completed(name or config.kind, options(config.kind), RARE)


def of(config: RepresentationConfig, name: str | None = None) -> Representation:
    """Build the representation that an entry of params.yaml, a shard or a model describes.

    name: what errors call it. Raises ConfigError as `resolve` does, and if an option is out of its limits.
    """
    from earmark.config import ConfigError

    config = resolve(config, name)
    try:
        return build(config.kind, rate=config.rate, n_samples=config.samples, name=name, **config.options())
    except ValueError as error:
        raise ConfigError(str(error)) from None


def build(kind: str, *, rate: int, n_samples: int, name: str | None = None, **options: Any) -> Representation:
    """Build the representation called `kind`, one of `kinds()`.

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
        return _build(kind)(rate=rate, n_samples=n_samples, **options)
    except OptionError as error:
        raise ValueError(error.of(name or kind)) from None
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"representations.{name or kind}: {str(error).split('.')[-1].split('() ')[-1]}") from error


def _build(kind: str) -> Any:
    return import_module(f"{__name__}.{kind}").build
