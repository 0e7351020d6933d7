"""`earmark doctor`: look at everything, say what is amiss and how to mend it; results and settings stay as they are."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from earmark.config import Config, ConfigError, load
from earmark.doctor import lock, machine, repository, space, stale
from earmark.doctor.lines import Line, guarded
from earmark.training import validation

ITERATED = ("encoders", "crossvalidations")  # sections that may have no entry, but that DVC must find


def run(args: Namespace) -> int:
    """Print a line per thing that was looked at, or all as JSON; return 1 if something stops the pipeline, else 0."""
    found = []
    for line in looked(args.params, args.data, args.mend):
        found.append(line)
        if not args.json:
            print(line.shown(), flush=True)
    stops = any(line.state == "error" for line in found)
    if args.json:
        print(json.dumps({"stops": stops, "lines": [asdict(line) for line in found]}, indent=2))
    return int(stops)


def looked(params: Path, data: Path, mend: bool = False) -> Iterator[Line]:
    """Yield what is found on this machine and in the project of ``params``.

    mend: whether what a killed DVC has left damaged is removed.
    """
    yield from machine.python()
    yield from machine.packages()
    yield from guarded("device", machine.device)
    yield from guarded("decoder", machine.decoder)
    if not params.exists():
        text = f"{params} does not exist: no project here, or --params names another one"
        yield Line("settings", "warning", text)
        return
    config: list[Config] = []
    yield from guarded("settings", lambda: _settings(params, config))
    folder = params.resolve().parent
    yield from repository.git(folder)
    root = repository.root_of(folder)
    copied = True
    if root is None:
        yield Line("DVC", "warning", f"there is no .dvc in {folder} or above it", "dvc init")
    else:
        yield from lock.lock(root, mend)
        dvc = _opened(root)
        if isinstance(dvc, Line):
            yield dvc
        else:
            copied = dvc.link == "copy"
            yield from dvc.cache()
            yield from dvc.remotes()
    if config:
        yield from guarded("disk", lambda: space.disk(config[0], data, copied))
        yield from guarded("shards", lambda: stale.shards(config[0], data))


def _settings(params: Path, found: list[Config]) -> Iterator[Line]:
    """Judge the settings as the pipeline does, and put them into ``found``. Raises EarmarkError if they are wrong."""
    config = load(params)
    validation.require(config)
    for section in ITERATED:
        if section not in config.model_fields_set:
            raise ConfigError(f"{params}: key {section} is missing, and dvc.yaml needs it: write `{section}: {{}}`")
    found.append(config)
    yield Line("settings", "ok", f"{params} can be used")


def _opened(root: Path) -> repository.Dvc | Line:
    """Return DVC's view of the repository, or the line that says why there is none."""
    from dvc.exceptions import DvcException

    try:
        return repository.Dvc(root)
    except (DvcException, OSError) as error:
        return Line("DVC", "error", f"{root / '.dvc'} cannot be used: {error}", "see .dvc/config and .dvc/config.local")
