"""Pickles, which may run any code when they are opened, are refused before anything of them is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

from earmark.errors import EarmarkError, naming

SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")  # what torch and others call theirs
_PROTOCOLS = tuple(bytes([0x80, version]) for version in range(2, 6))  # how a pickle begins


def refuse(path: Path) -> None:
    """Raise an EarmarkError, which says the way to safetensors, if a file is a pickle by its name or its content.

    path: need not exist.
    """
    if path.suffix.lower() in SUFFIXES or (path.is_file() and _pickled(path)):
        target = path.with_suffix(".safetensors").name
        raise EarmarkError(
            f"{path} is a pickle, which may run any code when it is opened: no pickle is read here. If you trust it, "
            f"write its tensors as safetensors where it comes from: safetensors.torch.save_file(torch.load("
            f"'{path.name}', weights_only=True), '{target}')"
        )


def _pickled(path: Path) -> bool:
    """Tell whether a file begins as a pickle, or is a zip with a pickle in it, as torch writes them."""
    with naming(path), path.open("rb") as file:
        if file.read(2) in _PROTOCOLS:
            return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
