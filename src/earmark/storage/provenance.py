"""What code and which libraries made a result: one digest per consumer, for DVC, shards, training runs and metrics.

A consumer is what a stage runs for one item: ``decode``, ``features-mel``, ``train-recurrent``. Its digest is a hash
over the modules of this project that it imports, directly or not, of their source without comments, docstrings and
layout: what cannot change a result does not change the digest. Imports are read from the syntax tree, those inside
functions too, so that nothing has to be executed; a module that is imported by a computed name is named here instead.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import re
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from earmark.storage.source import essence, read_source, strings, syntax_tree

PACKAGE = Path(__file__).parents[1]

# Modules that cannot change a result, and why. They and what they import belong to no digest.
NEUTRAL = {
    "errors": "texts that end a command",
    "environment": "EARMARK_* variables: which of them are refused",
    "progress": "what is shown while it runs",
    "storage.memory": "how much is free, how freed memory is kept; results do not depend on batches of extraction",
    "cluster.connection": "which workers are there",
    "cluster.results": "whether what workers wrote is here",
    "cluster.run": "which worker does what; workers whose code or makers differ are refused",
    "cluster.worker": "refuses other code and makers, and tells what went wrong",
    "features.cluster": "where shards are computed; workers whose code or makers differ are refused",
    "decode.cluster": "where shards are decoded; workers whose code or makers differ are refused",
    "training.live": "what a training shows in a terminal",
    "training.loggers": "copies of the curves, for whoever watches",
    "training.validation": "which settings are refused before anything is trained",
    "decode.pool": "the processes in which files are decoded; what comes back does not depend on them",
    "decode.worker": "what such a process does with what it is asked for; what that is belongs to the digest",
    "decode.waveform_store": "where waveforms lie; what is in them is told by their fingerprints",
    "decode.waveforms": "brings back waveforms, which must have the fingerprints that their index tells",
    "storage.room": "what is refused because the disk has no room for it",
    "storage.makers": "which shards are made once more; what is in them is not decided there",
    "storage.source": "reads modules for the digests: a change of it that matters changes them itself",
    "storage.provenance": "makes the digests: a change of it that matters changes them itself",
}
# Folders whose modules are imported by a computed name, and what each of these modules is entered by.
DOORS = {"corpus.kinds": "corpus", "encoders": "read", "models": "build", "representations": "build"}
# What a module imports by computed names itself.
BRINGS = {
    "representations.encoder": ("encoders.**", "models.**", "representations.**"),
    "representations.joint": ("encoders.**", "models.**", "representations.**"),
}
_PARSING = threading.Lock()  # Python 3.11's parser fails where two threads make trees at once
# What each consumer runs; "*" stands for the file of its kind of representation, or of its family of networks, and "**"
# for those of all of them.
CONSUMERS = {
    "demo": ("demo.render", "config"),
    "corpus": ("corpus.read", "corpus.kinds.**"),
    "labels": ("corpus.choose", "corpus.kinds.**", "config"),
    "decode": ("decode.corpus",),
    "features": ("features.extract", "config", "representations.*"),
    "standardize": ("features.standardize", "corpus.label_table"),
    "train": ("training.fit", "config", "models.*"),
    "evaluate": ("evaluation.experiment", "config", "models.*"),
    "crossvalidate": ("training.crossvalidation", "config", "models.*"),
    "report": ("evaluation.comparison", "report.page", "papers.reproduction", "config", "models.**"),
}


def consumers() -> list[str]:
    """Return all consumers, by their full names: ``features-<kind>`` for every kind that is there, and so on."""
    found = []
    for stage, roots in CONSUMERS.items():
        folder = next((root.removesuffix(".*") for root in roots if _of_items(root)), None)
        found += [stage] if folder is None else [f"{stage}-{name}" for name in plugins(folder)]
    return found


def plugins(folder: str) -> list[str]:
    """Return the modules and packages of a folder of this package that are used by name: a new file is a new one.

    folder: one of DOORS, dotted. What has the folder's door, a function or class of that name, is one of them.
    """
    place = PACKAGE / folder.replace(".", "/")
    modules = {path.stem: path for path in place.glob("*.py") if path.stem != "__init__"}
    modules |= {path.parent.name: path for path in place.glob("*/__init__.py")}
    return sorted(name for name, path in modules.items() if _has(path, DOORS[folder]))


def _has(file: Path, door: str) -> bool:
    here = rf"^(?:def |class )?{door}\b *[=:(]|^from .* import .*\b{door}\b"
    return re.search(here, read_source(file), re.M) is not None


@cache
def digest(consumer: str) -> str:
    """Return the SHA-256 of the code that a consumer runs.

    ``features-joint+mel+cqt`` is that of the kind joint with these kinds alone, where ``features-joint`` is with all.

    Raises ValueError for a consumer that is not there.
    """
    with _PARSING:
        return digest_of(sources(consumer))


def digest_of(sources: Mapping[str, str]) -> str:
    """Return the SHA-256 of files by name, each with its own digest."""
    return hashlib.sha256("".join(f"{name} {value}\n" for name, value in sources.items()).encode()).hexdigest()


def sources(consumer: str) -> dict[str, str]:
    """Return the files that a consumer runs, relative to the package, each with the SHA-256 of what matters of it."""
    files = closure(_roots(consumer))
    named = "\n".join(text for file in files for text in strings(file))
    data = [file for file in _data_files() if file.name in named]
    return {file.relative_to(PACKAGE).as_posix(): source_digest(file) for file in sorted([*files, *data])}


def _roots(consumer: str) -> list[Path]:
    whole, *parts = consumer.split("+")
    stage, _, item = whole.partition("-")
    if unknown := {whole, *(f"{stage}-{part}" for part in parts)} - {*consumers()}:
        raise ValueError(f"no code is known for {min(unknown)!r}: it must be one of {', '.join(consumers())}")
    names = [name for root in CONSUMERS[stage] for name in _expanded(root, item, alone=bool(parts))]
    names += [name for part in parts for root in CONSUMERS[stage] for name in _expanded(root, part)]
    return [file for name in names if (file := module_file(f"{PACKAGE.name}.{name}")) is not None]


def _of_items(root: str) -> bool:
    return root.endswith(".*")


def _expanded(root: str, item: str, alone: bool = False) -> list[str]:
    """Return the modules that a root of CONSUMERS stands for; ``alone``: without what they bring."""
    folder, _, stars = root.rpartition(".")
    if stars == "**":
        return [f"{folder}.{name}" for name in plugins(folder)]
    name = f"{folder}.{item}" if _of_items(root) else root
    brings = () if alone else BRINGS.get(name, ())
    return [name, *(brought for more in brings for brought in _expanded(more, item))]


def closure(files: Iterable[Path]) -> list[Path]:
    """``files`` and all of the project's files that they import, directly or not, but the neutral ones; sorted."""
    todo, seen = list(files), set[Path]()
    while todo:
        file = todo.pop()
        if file not in seen and not _neutral(file):
            seen.add(file)
            todo.extend(direct_imports(file))
    return sorted(seen)


def _neutral(file: Path) -> bool:
    return file.is_relative_to(PACKAGE) and ".".join(file.relative_to(PACKAGE).with_suffix("").parts) in NEUTRAL


def module_file(name: str) -> Path | None:
    """Return the source file of an ``earmark...`` module or package, or None for a name that is no module."""
    base = PACKAGE.parent.joinpath(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def direct_imports(file: Path) -> frozenset[Path]:
    """Return the project's files that ``file`` itself imports, anywhere in it.

    A package's ``__init__`` counts where a name of its own is taken from it, not where it only leads to a module. A
    string that is the full name of a module counts as its import.
    """
    found: set[Path | None] = set()
    for node in ast.walk(syntax_tree(read_source(file), str(file))):
        if isinstance(node, ast.Import):
            found.update(module_file(alias.name) for alias in node.names if _own(alias.name))
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(file, node)
            if _own(origin):
                modules = [module_file(f"{origin}.{alias.name}") for alias in node.names]
                found.update(module or module_file(origin) for module in modules)
    found.update(module_file(text) for text in strings(file) if re.fullmatch(rf"{PACKAGE.name}(\.\w+)+", text))
    return frozenset(path for path in found if path is not None)


def _origin(file: Path, node: ast.ImportFrom) -> str:
    """Return the module that names are taken from, absolute."""
    if not node.level:
        return node.module or ""
    if not file.is_relative_to(PACKAGE):
        return ""
    package = file.relative_to(PACKAGE.parent).parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _own(name: str) -> bool:
    return name.split(".")[0] == PACKAGE.name


def _data_files() -> list[Path]:
    """Return what lies in the package and is no code: a module that names such a file is taken to read it."""
    return [
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".typed") and "__pycache__" not in path.parts
    ]


@cache
def source_digest(file: Path) -> str:
    """SHA-256 of a file: of a module without what cannot matter, of another file whole; line ends do not count."""
    if file.suffix != ".py":
        return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    return hashlib.sha256("\0".join(essence(read_source(file))).encode()).hexdigest()


def makers(*distributions: str, **more: str) -> dict[str, str]:
    """Return the versions of the libraries that make values, by their distributions' names, and whatever else does."""
    return {name: importlib.metadata.version(name) for name in distributions} | more


def fingerprint(**parts: object) -> str:
    """SHA-256 of the canonical JSON of everything that a result depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
