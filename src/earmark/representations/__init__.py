"""The one registry of representations: a name and options in, a batched transform out.

A kind is a module of this package with a top-level `build`, its class or a function: a new file is a new kind.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.representations.base import Representation

KINDS: tuple[str, ...]  # `kinds()`, found when first asked for


@cache
def kinds() -> tuple[str, ...]:
    """Return the names that `build` knows, sorted; read from the files, so that no transform is imported for it."""
    found = set[str]()
    for folder in map(Path, __path__):
        found |= {file.stem for file in folder.glob("*.py") if file.stem != "__init__" and _builds(file)}
        found |= {file.parent.name for file in folder.glob("*/__init__.py") if _builds(file)}
    return tuple(sorted(found))


def _builds(file: Path) -> bool:
    """Whether a module binds `build` at its top level."""
    return re.search(r"^(?:def |class )?build\b *[=:(]", file.read_text(encoding="utf-8"), re.MULTILINE) is not None


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
