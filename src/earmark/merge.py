"""Git's merge drivers for what the pipeline writes and for params.yaml: `python -m earmark.merge install` names them.

Two branches that each add an experiment write next to each other in dvc.lock, in the report and in params.yaml, where
git sees a conflict and there is none. Git calls a driver with the file's common ancestor, ours and theirs, and takes
what it leaves in ours. Nothing heavy is imported: a merge should not wait for torch.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

DRIVERS = {  # the names in .gitattributes
    "earmark-lock": "{python} -m earmark.merge lock %O %A %B",
    "earmark-params": "{python} -m earmark.merge params %O %A %B",
    "earmark-remade": "true",  # ours stays until `dvc repro` makes it again
}
ABSENT = object()  # the value of a key that is not there


class ClashError(Exception):
    """Both sides changed the same value, each in its own way."""


def united(base: object, ours: object, theirs: object, depth: int | None = None) -> Any:
    """Merge three values: of each key of mappings, what a side changed; ours, and then theirs, in their order.

    Raises ClashError if both changed the same value differently. With a ``depth`` only that many levels of mappings
    are looked into; of a value below them that both changed ours stays, and one that only a side removed stays, too.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if depth == 0:
        return theirs if ours is ABSENT else ours
    if not all(isinstance(side, Mapping) for side in (base, ours, theirs)):
        raise ClashError
    below = None if depth is None else depth - 1
    old, mine, other = (dict(side) for side in (base, ours, theirs) if isinstance(side, Mapping))
    found = {k: united(old.get(k, ABSENT), mine.get(k, ABSENT), other.get(k, ABSENT), below) for k in mine | other}
    return {key: value for key, value in found.items() if value is not ABSENT}


def merge_lock(base: Path, ours: Path, theirs: Path) -> bool:
    """Unite dvc.lock stage by stage into ``ours``; a stage that both ran differently is ours, for DVC to check."""
    try:
        content = united(_read(base), _read(ours), _read(theirs), depth=2)
    except (ClashError, YAMLError):
        return _as_git_does(base, ours, theirs)
    yaml = YAML()  # as DVC writes it
    yaml.default_flow_style = False
    with ours.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)
    return True


def merge_params(base: Path, ours: Path, theirs: Path) -> bool:
    """Merge settings into ``ours``: as git does, or else with the lines of both sides if they stand side by side.

    Both sides' lines are taken only where they say what each side changed and nothing else: a key that both set, or a
    value that both changed, stays git's conflict.
    """
    files = [str(path) for path in (ours, base, theirs)]
    merged = subprocess.run(["git", "merge-file", "--stdout", *files], capture_output=True, check=False)
    if merged.returncode == 0:
        ours.write_bytes(merged.stdout)
        return _is_yaml(merged.stdout.decode())
    both = subprocess.run(["git", "merge-file", "--stdout", "--union", *files], capture_output=True, check=False)
    try:
        if _load(both.stdout.decode()) == united(_read(base), _read(ours), _read(theirs)):
            ours.write_bytes(both.stdout)
            return True
    except (ClashError, YAMLError):
        pass
    return _as_git_does(base, ours, theirs)


def _as_git_does(base: Path, ours: Path, theirs: Path) -> bool:
    """Git's usual merge into ``ours``, with its marks around what conflicts; whether nothing does."""
    labels = [option for name in ("ours", "base", "theirs") for option in ("-L", name)]
    return (
        subprocess.run(["git", "merge-file", *labels, str(ours), str(base), str(theirs)], check=False).returncode == 0
    )


def _read(path: Path) -> Any:
    return _load(path.read_text(encoding="utf-8"))


def _load(text: str) -> Any:
    """Return the content of a YAML text; {} if it is empty. Raises YAMLError, also if a key stands twice."""
    return YAML(typ="safe").load(text) or {}


def _is_yaml(text: str) -> bool:
    try:
        _load(text)
    except YAMLError as error:
        print(f"params.yaml, as git merged it: {error}", file=sys.stderr)
        return False
    return True


def install(python: str = sys.executable) -> bool:
    """Name the drivers in the configuration of this clone; whether there is one."""
    inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False)
    if inside.returncode:
        return False
    for name, command in DRIVERS.items():
        value = command.format(python=shlex.quote(python))
        subprocess.run(["git", "config", f"merge.{name}.driver", value], check=True)
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run one driver; the exit code is 1 if a conflict is left, as git expects it."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m earmark.merge")
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for name, driver in (("lock", merge_lock), ("params", merge_params)):
        kind = kinds.add_parser(name, help=str(driver.__doc__).partition(";")[0].partition(":")[0])
        for place in ("base", "ours", "theirs"):
            kind.add_argument(place, type=Path)
        kind.set_defaults(run=lambda args, driver=driver: driver(args.base, args.ours, args.theirs))
    named = kinds.add_parser("install", help="name the drivers in git's configuration of this clone")
    named.set_defaults(run=lambda args: install() or print("no git repository: nothing to merge") is None)  # noqa: ARG005
    args = parser.parse_args(argv)
    return 0 if args.run(args) else 1


if __name__ == "__main__":
    sys.exit(main())
