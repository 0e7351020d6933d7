"""The registry of kinds of corpora: it turns the name of a kind into its module in ``kinds``.

A kind is a module with a function ``corpus``, which reads the clips and tags that params.yaml names. To add a kind, add
a file. A kind may also have ``BROKEN``, the paths of files that are known to be unreadable, and ``verify``, a function
that compares the corpus with published counts.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from earmark import doors
from earmark.storage import provenance


def kinds() -> list[str]:
    """Return the sorted names of all kinds, taken from the names of the files: no kind is imported."""
    return provenance.plugins("corpus.kinds")


def module(kind: str) -> ModuleType:
    """Return the module of a kind. kind: one of ``kinds()``.

    Raises ConfigError, with the file and the line, if it cannot be imported.
    """
    doors.opened("corpus.kinds", kind)
    return import_module(f"earmark.corpus.kinds.{kind}")


def broken(kind: str) -> frozenset[str]:
    """Return the paths of the files that are known to be broken in corpora of a kind: they need no warning."""
    return getattr(module(kind), "BROKEN", frozenset())
