"""The one registry of representations: a name and options in, a batched transform out.

A kind is a module of this package with a top-level `build`, its class or a function: a new file is a new kind.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.storage import provenance

if TYPE_CHECKING:
    from earmark.config import RepresentationConfig
    from earmark.representations.base import Representation

KINDS: tuple[str, ...]  # `kinds()`, found when first asked for


def resolve(config: RepresentationConfig, name: str | None = None) -> RepresentationConfig:  # noqa: ARG001
    """Return `config` with every option of its kind."""
    return config


def of(config: RepresentationConfig, name: str | None = None) -> Representation:
    """Build the representation that an entry of params.yaml, a shard or a model describes.

    name: what errors call it. Raises ConfigError.
    """
    from earmark.config import ConfigError

    try:
        return build(config.kind, rate=config.rate, n_samples=config.samples, name=name, **config.options())
    except ValueError as error:
        raise ConfigError(str(error)) from None


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
