"""What code made a result: the project's modules that a file imports, and a hash of their source.

Static: imports are read from the syntax tree, those inside functions too, so that nothing has to be executed.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def module_file(name: str) -> Path | None:
    """The source file of an ``earmark...`` module or package, or None for a name that is no module."""
    base = PACKAGE.parent.joinpath(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def direct_imports(file: Path) -> set[Path]:
    """The project's files that ``file`` itself imports, anywhere in it.

    A package's ``__init__`` counts where a name of its own is taken from it, not where it only leads to a module.
    """
    found: set[Path | None] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(module_file(alias.name) for alias in node.names if _own(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module is not None and _own(node.module):
            modules = [module_file(f"{node.module}.{alias.name}") for alias in node.names]
            found.update(module or module_file(node.module) for module in modules)
    return {path for path in found if path is not None}


def _own(name: str) -> bool:
    return name.split(".")[0] == PACKAGE.name


def closure(files: Iterable[Path]) -> list[Path]:
    """``files`` and all of the project's files that they import, directly or not, sorted."""
    todo, seen = list(files), set[Path]()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo.extend(direct_imports(file))
    return sorted(seen)


@cache
def code_version(*modules: str) -> str:
    """SHA-256 over the sources of the named modules and of all that they import from this project."""
    digest = hashlib.sha256()
    starts = [file for name in modules if (file := module_file(name)) is not None]
    for file in closure(starts):
        digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def fingerprint(**parts: object) -> str:
    """SHA-256 of the canonical JSON of everything that a result depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
