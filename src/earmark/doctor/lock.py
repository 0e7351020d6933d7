"""DVC's record of who reads and writes what, `.dvc/tmp/rwlock`: a DVC that was killed may leave half of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil

from earmark.doctor.lines import Line

NAME = "lock of DVC"


def lock(root: Path, mend: bool) -> Iterator[Line]:
    """Tell whether the record can be read; ``mend`` deletes one that cannot, if no DVC runs in the repository.

    root: the folder that holds .dvc.
    """
    path = root / ".dvc/tmp/rwlock"
    wrong = damage(path)
    if wrong is None:
        yield Line(NAME, "ok", "free" if not path.exists() else "can be read")
        return
    text = f"{path} {wrong}: a DVC that was killed left it so, and every `dvc repro` ends on it"
    if not mend:
        yield Line(NAME, "error", text, "earmark doctor --mend")
        return
    if running := dvc_processes(root):
        told = ", ".join(str(number) for number in running)
        yield Line(NAME, "error", f"{text}; DVC runs here (process {told})", "wait for it or end it, and try again")
        return
    from dvc.lock import LockError, make_lock

    try:
        with make_lock(str(path.with_name("rwlock.lock")), tmp_dir=str(path.parent)):
            if damage(path) is not None:
                path.unlink()
    except LockError:
        yield Line(NAME, "error", f"{text}; DVC is using it now", "try again when it has ended")
        return
    yield Line(NAME, "ok", f"{path} {wrong}: it is removed")


def damage(path: Path) -> str | None:
    """Return what is wrong with a record, by DVC's own rules; None if nothing is, or if there is none."""
    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    try:
        SCHEMA(json.loads(path.read_bytes().decode()))
    except FileNotFoundError:
        return None
    except (ValueError, Invalid, RecursionError):
        return "is empty" if not path.stat().st_size else "is half-written"
    return None


def dvc_processes(root: Path) -> list[int]:
    """Return the processes of DVC in a repository, or where this user may not see in which one they are."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if not any(Path(word).name.startswith("dvc") for word in words[:6]):
            continue
        try:
            if Path(process.cwd()).resolve().is_relative_to(root.resolve()):
                found.append(process.pid)
        except psutil.AccessDenied:
            found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found
