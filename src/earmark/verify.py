"""``earmark verify``: whether what the pipeline has cached is still what it made, and how what is not comes back.

``dvc.lock`` holds the MD5 of every output, which ``--deep`` compares with the bytes: DVC itself asks again only if a
file's size or time has changed, and so sees no rotten bit. Shards and models carry seals of their own, by which those
are judged that DVC does not track: the store of waveforms, probes, published weights.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from earmark import progress, strict_yaml
from earmark.decode import waveform_store
from earmark.decode.index import Index, indices
from earmark.errors import EarmarkError
from earmark.storage import shards

LOCK = "dvc.lock"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Output:
    """What ``dvc.lock`` says of one output: the stage that makes it, its path, MD5 and size; files: of a folder."""

    stage: str
    path: Path
    md5: str
    size: int
    files: int | None

    @property
    def is_folder(self) -> bool:
        """Whether the MD5 is that of a list of files."""
        return self.md5.endswith(".dir")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file or folder. output: what DVC knows of it, None if DVC does not track it."""

    path: Path
    what: str
    output: Output | None
    absent: bool = False

    def line(self) -> str:
        """Return it in words, with what brings it back."""
        if self.output is None:
            return f"{self.path}: {self.what}; delete it: what needs it makes it again"
        return f"{self.path}: {self.what}; `dvc pull {self.output.path}`, or `dvc repro {self.output.stage}`"


def verify(data: Path, deep: bool, repair: bool) -> int:
    """Print what is damaged or absent below the folder ``data``; return 1 if anything still is, else 0.

    deep: read every byte; otherwise sizes and numbers of files are compared. repair: bring it back, from DVC's cache or
    its remote, or else by running the stage again.
    """
    outputs = list(locked(data))
    faults = list(_faults(data, outputs, deep))
    for fault in faults:
        print(fault.line())
    if repair:
        faults = [fault for fault in faults if not _repaired(fault, data, deep)]
        for fault in faults:
            print(f"{fault.path}: could not be brought back", file=sys.stderr)
    how = "all bytes" if deep else "sizes alone: --deep reads all bytes"
    print(f"{len(outputs)} outputs of {LOCK} below {data} ({how}): {len(faults)} damaged or absent")
    return 1 if faults else 0


def locked(data: Path) -> Iterator[Output]:
    """Yield the outputs below ``data`` that ``dvc.lock`` beside it names, of the stages that there are now.

    Raises EarmarkError if there is no ``dvc.lock``, if it is something else, or if an output or its MD5 leads away.
    """
    lock = data.parent / LOCK
    content = strict_yaml.read(lock, ": nothing was made here yet (`dvc repro`)")
    stages = _mapping(data.parent / "dvc.yaml").get("stages") or {}
    params = _mapping(data.parent / "params.yaml")
    try:
        for name, stage in content["stages"].items():
            for out in stage.get("outs", ()) if _current(name, stages, params) else ():
                path = data.parent / out["path"]
                if path.is_relative_to(data) and _plain(out["path"]):
                    yield Output(name, path, _md5(out["md5"]), int(out["size"]), out.get("nfiles"))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise EarmarkError(f"{lock} is no lock of DVC ({error!r}): `git checkout {LOCK}`, or `dvc repro`") from None


def _mapping(path: Path) -> Mapping[str, Any]:
    """Return the content of dvc.yaml or params.yaml. Raises EarmarkError if it is no mapping."""
    content = strict_yaml.read(path)
    if not isinstance(content, dict | None):
        raise EarmarkError(f"{path} must be a mapping, got {type(content).__name__}: `git checkout {path.name}`")
    return content or {}


def _plain(name: str) -> str:
    """Return a path as DVC writes it. Raises ValueError if it may lead out of its folder: what it names is deleted."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ValueError(f"the path {name!r} leads elsewhere")
    return name


def _md5(text: str) -> str:
    """Return an MD5. Raises ValueError or TypeError if it is none: it becomes a path in DVC's cache."""
    if not _MD5.fullmatch(text):
        raise ValueError(f"{text!r} is no MD5")
    return text


def _current(name: str, stages: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Tell whether a stage of the lock is still one of dvc.yaml, for an entry that params.yaml still has."""
    stage, _, item = name.partition("@")
    about = stages.get(stage)
    if about is None:
        return False
    if (each := about.get("foreach")) is None:
        each = about.get("matrix")
    if each is None:
        return not item
    sections = each.values() if isinstance(each, dict) else [each]
    entries = [params.get(str(section).strip("${}")) or {} for section in sections]
    return item in {"-".join(map(str, keys)) for keys in itertools.product(*entries)}


def _faults(data: Path, outputs: list[Output], deep: bool) -> Iterator[Fault]:
    with progress.bar(len(outputs), "verify", "output") as bar:
        for output in outputs:
            yield from faults_of(output, deep)
            bar.update()
    known = [output.path for output in outputs]
    for path in sorted({*data.rglob("*.h5"), *_stored(data)}) if deep else ():
        if not any(path.is_relative_to(place) for place in known):
            try:
                shards.open_shard(path).close()
            except shards.ShardError as error:
                yield Fault(path, str(error).removeprefix(f"{path} ").partition("; run")[0], None)


def _stored(data: Path) -> Iterator[Path]:
    """Yield the waveform shards of this machine's store that an index below ``data`` names."""
    for folder in indices(data):
        store = waveform_store.root(folder)
        for entry in Index.read(folder).shards.values():
            if (path := waveform_store.place(store, entry.fingerprint)).is_file():
                yield path


def faults_of(output: Output, deep: bool) -> list[Fault]:
    """Return what is wrong with an output: each file of a folder where DVC's cache has the list, else the folder."""
    if not output.path.exists():
        return [Fault(output.path, "is absent", output, absent=True)]
    if output.path.is_dir() != output.is_folder:
        return [Fault(output.path, "is a folder, where a file was written, or the other way round", output)]
    files = sorted(path for path in output.path.rglob("*") if path.is_file()) if output.is_folder else [output.path]
    size = sum(path.stat().st_size for path in files)
    if not deep:
        if size == output.size and output.files in (None, len(files)):
            return []
        return [Fault(output.path, f"has {size} bytes in {len(files)} files, {output.size} were written", output)]
    found = {path.relative_to(output.path).as_posix(): md5(path) for path in files}
    if not output.is_folder:
        return [] if found["."] == output.md5 else [Fault(output.path, "is not what was written", output)]
    if md5_of_folder(found) == output.md5:
        return []
    if (told := _told(output)) is None:
        return [Fault(output.path, "is not what was written, and which file differs is not known here", output)]
    lacking = [Fault(output.path / name, "is absent", output, absent=True) for name in told if name not in found]
    wrong = [name for name in found if found[name] != told.get(name)]
    return lacking + [Fault(output.path / name, "is not what was written", output) for name in wrong]


def md5(path: Path) -> str:
    """Return the MD5 of a file, by which DVC knows it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_folder(files: Mapping[str, str]) -> str:
    """Return DVC's MD5 of a folder, from those of its files by their paths in it.

    >>> md5_of_folder({"b": "0" * 32, "a": "1" * 32})
    '40a207967975ff3caa3494b92889e290.dir'
    """
    rows = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    text = json.dumps(rows, sort_keys=True).encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + ".dir"


def _told(output: Output) -> dict[str, str] | None:
    """Return the MD5 of every file of a folder as DVC's cache has them, None if it does not, or its list is damaged."""
    path = _cached(output, output.md5)
    try:
        if f"{md5(path)}.dir" != output.md5:
            return None
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {_plain(row["relpath"]): _md5(row["md5"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _cached(output: Output, digest: str) -> Path:
    """Return where DVC's cache has a file, or would have it."""
    root = output.path.absolute()
    dvc = next((parent / ".dvc" for parent in root.parents if (parent / ".dvc").is_dir()), Path(".dvc"))
    return waveform_store.dvc_cache(dvc) / "files/md5" / digest[:2] / digest[2:]


def _repaired(fault: Fault, data: Path, deep: bool) -> bool:
    """Delete what is damaged and bring it back; tell whether it is there again."""
    path, output = fault.path, fault.output
    if output is None:
        path.unlink(missing_ok=True)
        return True
    if not path.parent.resolve().is_relative_to(data.resolve()):
        progress.line(f"{path}: a link leads to it out of {data}, where nothing is deleted")
        return False
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    _forget_damaged_copies(output)
    place = str(output.path.relative_to(data.parent))
    ways = (["checkout", "--force", place], ["pull", "--force", place], ["repro", "--single-item", output.stage])
    for way in ways:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *way], cwd=data.parent, capture_output=True, text=True, check=False
        )
        again = [one for one in locked(data) if one.path == output.path]
        if done.returncode == 0 and again and not faults_of(again[0], deep):
            progress.line(f"{path}: came back by `dvc {' '.join(way)}`")
            return True
    return False


def _forget_damaged_copies(output: Output) -> None:
    """Delete from DVC's cache what is not what its name says, so that it is not taken for the good one."""
    for digest in {*(_told(output) or {}).values(), output.md5}:
        copy = _cached(output, digest)
        if copy.is_file() and md5(copy) != digest.removesuffix(".dir"):
            copy.unlink()
