"""The one registry of kinds of corpora: a name in, a module of ``kinds`` out.

A kind is a module there with a function ``corpus``, which reads the clips and tags that params.yaml names: a new file
is a new kind. It may have two things more. ``BROKEN``: paths of files that are known to be unreadable. ``verify``:
compares what was read with published counts.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from earmark.storage import provenance


def kinds() -> list[str]:
    """Return the names of all kinds, sorted; read from the files, so that none is imported for it."""
    return provenance.plugins("corpus.kinds")


def module(kind: str) -> ModuleType:
    """Return the module of a kind, one of ``kinds()``."""
    return import_module(f"earmark.corpus.kinds.{kind}")


def broken(kind: str) -> frozenset[str]:
    """Return the paths of files that the corpora of a kind are known to have broken: nobody need be warned of them."""
    return getattr(module(kind), "BROKEN", frozenset())
