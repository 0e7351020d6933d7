"""Where the files of published weights come from: pip fetches their wheel, or the user has it already."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from earmark import pickles
from earmark.errors import EarmarkError
from earmark.weights.checkpoint import File
from earmark.weights.registry import Weights

LARGEST = 1 << 30  # bytes of a file in a wheel: far more than any weights here
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, ValueError, EOFError)  # of zipfile


def files(weights: Weights, source: Path) -> dict[str, File]:
    """Return the files of the checkpoint by name, each with the digest that it must have.

    source: the wheel, the folder that it was unpacked to, or that of the checkpoint. Nothing of a wheel is run.

    Raises EarmarkError if there is no such file, if it is a pickle or something else, or if a digest differs.
    """
    if source.is_dir():
        return _of_folder(weights, source)
    pickles.refuse(source)
    if not source.is_file():
        raise EarmarkError(f"{source} does not exist; --from takes a wheel of {weights.package}, or its folder")
    return _of_wheel(weights, source)


def fetch(package: str, folder: Path) -> Path:
    """Let pip fetch a wheel into a folder, as its own configuration says, and return it; nothing is installed.

    What was fetched there before is not fetched again.

    Raises EarmarkError, with the last thing that pip says, if it cannot.
    """
    name, _, version = package.partition("==")
    if found := sorted(folder.glob(f"{name}-{version}-*.whl")):
        return found[0]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = sorted(folder.glob(f"{name}-{version}-*.whl"))
    if done.returncode or not found:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise EarmarkError(
            f"pip could not fetch {package} ({said[-1] if said else f'exit code {done.returncode}'}); fetch the wheel "
            "where there is a registry of packages, and name it by --from"
        )
    return found[0]


def _of_folder(weights: Weights, folder: Path) -> dict[str, File]:
    """Return the files of a folder: that of the unpacked wheel, of its package, or of the checkpoint."""
    inner = Path(weights.folder)
    places = (folder / inner, folder / inner.name, folder)
    place = next((p for p in places if all((p / name).is_file() for name in weights.digests)), None)
    if place is None:
        raise EarmarkError(
            f"{folder} must hold {weights.folder} with {' and '.join(weights.digests)}, but does not; the names begin "
            "with a dot, which `cp *` leaves out"
        )
    return _verified(weights, str(place), {name: (place / name).read_bytes() for name in weights.digests})


def _of_wheel(weights: Weights, wheel: Path) -> dict[str, File]:
    """Return the files that a wheel holds."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in weights.digests:
                if (size := archive.getinfo(f"{weights.folder}/{name}").file_size) > LARGEST:
                    raise EarmarkError(f"{wheel}: {name} would unpack to {size} bytes, {LARGEST} are the limit")
            contents = {name: archive.read(f"{weights.folder}/{name}") for name in weights.digests}
    except KeyError as error:
        raise EarmarkError(f"{wheel} lacks {error.args[0]}; it must be a wheel of {weights.package}") from None
    except _BROKEN as error:
        raise EarmarkError(
            f"{wheel} must be a wheel of {weights.package}, but is no zip, or damaged ({error}); fetch it again"
        ) from None
    return _verified(weights, f"{wheel}: {weights.folder}", contents)


def _verified(weights: Weights, where: str, contents: Mapping[str, bytes]) -> dict[str, File]:
    """Return files by name. Raises EarmarkError if one has another digest than the registry says."""
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != weights.digests[name]:
            raise EarmarkError(
                f"{where}/{name} must have the SHA-256 {weights.digests[name]}, got {digest}: it is damaged, or of "
                f"another version than {weights.package}"
            )
    return {name: File(f"{where}/{name}", content) for name, content in contents.items()}
