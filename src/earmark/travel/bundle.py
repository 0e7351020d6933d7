"""A bundle: one file with all that predicts by an experiment, for machines that have earmark and nothing else.

It is a ZIP archive of stored (not compressed) members: ``bundle.json``, which names all the others with their sizes and
SHA-256, ``card.md`` for people, the models (safetensors) and the encoders that their representations hear through.
Nothing in it is code, and nothing is unpickled. The same models give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError
from earmark.files import write_bytes
from earmark.models.saved import ModelError, SavedModel
from earmark.representations import scripts

SUFFIX = ".earmark"
FORMAT = 1
ABOUT, CARD = "bundle.json", "card.md"
LARGEST = 1 << 34  # bytes of a member: far more than any model here, far less than a disk
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP archive can hold
_CARRIED = (".safetensors", ".onnx")


class BundleError(EarmarkError):
    """A bundle that cannot be written or used; the text names the file and what to do."""


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds: a model per seed, and what is known of them (``describe``), ready for JSON."""

    models: tuple[SavedModel, ...]
    about: Mapping[str, Any]
    card: str


def write(path: Path, models: Mapping[str, Path], about: Mapping[str, Any], card: str) -> None:
    """Write a bundle, complete or not at all.

    models: the files of the models by the names of their members. about: what else is said of them.

    Raises BundleError if a representation hears through a file that cannot be carried, ModelError if a model cannot be
    used.
    """
    members: dict[str, bytes] = {CARD: card.encode()}
    for name, file in models.items():
        members[name] = file.read_bytes()
        for carried in scripts.files(SavedModel.load(file).representation):
            members[_member_of(carried)] = _carried(carried)
    listed = {name: {"size": len(content), "sha256": _sha256(content)} for name, content in sorted(members.items())}
    told = {"format": FORMAT, "earmark": version(), "models": sorted(models), "members": listed, "about": dict(about)}
    content = json.dumps(told, sort_keys=True, indent=1, allow_nan=False) + "\n"
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, member in {ABOUT: content.encode(), **dict(sorted(members.items()))}.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, member)
    write_bytes(path, held.getvalue())


def read(path: Path, folder: Path) -> Bundle:
    """Read and verify a bundle; ``folder`` holds its files from then on, for as long as the models are used.

    Raises BundleError if the file is absent, no bundle, damaged, of another version, or if it holds what it does not
    name: nothing of it is used then.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            told, members = _verified(path, archive)
    except FileNotFoundError:
        raise BundleError(f"{path} does not exist; `earmark bundle EXPERIMENT -o {path.name}` writes one") from None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is no bundle of earmark, or damaged ({error})") from None
    for name, content in members.items():
        if name == CARD:
            continue
        try:
            (folder / name).write_bytes(content)
        except OSError as error:
            raise BundleError(f"{path}: {name} cannot be written to {folder}: {error.strerror}") from None
    try:
        models = tuple(_with_files(SavedModel.load(folder / name), folder, path) for name in told["models"])
        card = members[CARD].decode()
    except (ModelError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {error}") from None
    if not models:
        raise BundleError(f"{path} holds no model")
    return Bundle(models, told["about"], card)


def _verified(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what ``bundle.json`` says, and the content of each member that it names."""
    infos = {info.filename: info for info in archive.infolist()}
    if len(infos) != len(archive.infolist()) or ABOUT not in infos:
        raise BundleError(
            f"{path} is no bundle of earmark: it has {'a member twice' if ABOUT in infos else 'no ' + ABOUT}"
        )
    for name, info in infos.items():
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > min(LARGEST, path.stat().st_size):
            raise BundleError(f"{path} is no bundle of earmark: {name!r} is compressed, or larger than the file")
    try:
        told = json.loads(archive.read(ABOUT))
        form, made_by = told["format"], told["earmark"]
        listed = {name: (row["size"], row["sha256"]) for name, row in told["members"].items()}
        models, about = [str(name) for name in told["models"]], dict(told["about"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path} is no bundle of earmark, or damaged: {ABOUT} cannot be read ({error})") from None
    if form != FORMAT:
        raise BundleError(
            f"{path} has format {form!r} (earmark {made_by}), and earmark {version()} reads {FORMAT}; install the "
            "version that wrote it, or bundle the experiment again"
        )
    if set(infos) != {ABOUT, *listed} or not {CARD, *models} <= set(listed):
        raise BundleError(f"{path} is damaged: its members are not those that {ABOUT} names")
    if len(set(models)) < len(models):
        raise BundleError(f"{path} is no bundle of earmark: {ABOUT} names a model twice, among {', '.join(models)}")
    members = {}
    for name, (size, sha256) in listed.items():
        if (
            Path(name).name != name
            or name.startswith(".")
            or "\\" in name
            or Path(name).suffix not in (*_CARRIED, ".md")
        ):
            raise BundleError(f"{path}: a member must be a plain file name, got {name!r}")
        content = archive.read(name)
        if len(content) != size or _sha256(content) != sha256:
            raise BundleError(f"{path} is damaged: {name} is not what was written")
        members[name] = content
    return {"models": models, "about": about}, members


def _carried(file: Path) -> bytes:
    if file.suffix not in _CARRIED:
        raise BundleError(
            f"{file} cannot be in a bundle: a representation that runs somebody's own code does not travel, for "
            f"whoever opens the bundle would run it; files of {' and '.join(_CARRIED)} do"
        )
    if inner := _heard_through(file):
        raise BundleError(
            f"{file} cannot be in a bundle: it hears through {inner[0]} itself, and an encoder of an encoder does not "
            "travel"
        )
    try:
        return file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file}, which the model hears through, cannot be read: {error.strerror}") from None


def _heard_through(file: Path) -> list[Path]:
    """Return the files that an encoder hears through, if it is a model of earmark."""
    is_model = file.suffix == ".safetensors" and file.is_file()
    return scripts.files(SavedModel.load(file).representation) if is_model else []


def _member_of(file: Path) -> str:
    return f"encoder-{hashlib.sha256(str(file).encode()).hexdigest()[:8]}-{file.name}"


def _with_files(saved: SavedModel, folder: Path, path: Path) -> SavedModel:
    """Return a model whose representation finds its files in the folder of a bundle.

    Raises BundleError, which names the bundle, if one of them is no member of it, or hears through a file itself.
    """

    def member(file: str) -> str:
        found = folder / _member_of(Path(file))
        if not found.is_file():
            raise BundleError(f"{path} is no bundle of earmark: a model hears through {file!r}, which is not in it")
        if inner := _heard_through(found):
            raise BundleError(f"{path} is no bundle of earmark: {found.name} hears through {inner[0]} itself")
        return str(found)

    return replace(saved, representation=scripts.placed(saved.representation, member))


def version() -> str:
    """Return the version of the package, which imports this module."""
    return str(import_module("earmark").__version__)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
