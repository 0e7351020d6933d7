"""What DVC knows of experiments: the workspace, the commit, and what ran, waits or failed in the queue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import yaml

from earmark.errors import EarmarkError
from earmark.files import write_csv
from earmark.report.leaderboard import CSV_COLUMNS, Leaderboard, State, leaderboard

METRICS = PurePath("metrics/experiments")
FIGURES = {"roc_auc", "low", "high", "pr_auc"}  # an older file has others: it is not read
START = "`dvc exp run --queue -S experiments.NAME.learning_rate=0.01,0.003`, then `dvc queue start --jobs 2`"
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/")  # and the experiment's name
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HINTS = {"running": "dvc queue status", "queued": "dvc queue start --jobs 2", "failed": "dvc queue logs NAME"}
NO_PROJECT = "run this in the root of the project, after `git init` and `dvc init` if it has none"


def ranked(folder: Path, baseline: str | None = None, csv: Path | None = None) -> Leaderboard:
    """Return the leaderboard of the project that ``folder`` lies in.

    baseline: the experiment that those of the workspace are compared with. csv: a file that the rows are written to.

    Raises EarmarkError if there is no project with git and DVC, no commit, or no experiment that has been measured.
    """
    workspace, head, finished, notes = _read(folder)
    found = leaderboard(workspace, head, finished, baseline)
    if not found.rows:
        raise EarmarkError(
            f"no experiment of params.yaml has a file in {METRICS.as_posix()}, nor one of DVC's experiments; "
            "`dvc repro` makes them"
        )
    if csv is not None:
        write_csv(csv, CSV_COLUMNS, ([*row.values()] for row in found.rows))
    return replace(found, notes=[*found.notes, *notes])


def _read(folder: Path) -> tuple[State, State, list[State], list[str]]:
    """Return the workspace, HEAD, DVC's experiments that finished, and what there is to say of the others."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import Git, SCMError

    try:
        with Repo(str(folder)) as repo:
            if not isinstance(repo.scm, Git):
                raise EarmarkError(
                    f"{repo.root_dir} is not under git, in which DVC keeps its experiments; {NO_PROJECT}"
                )
            states = repo.experiments.show()
            if not states:
                raise EarmarkError(
                    f"{repo.root_dir} has no commit, to which DVC's experiments are compared; "
                    "`git add --all && git commit` first"
                )
            here, commit = states
            workspace, head = _state(repo, here, "workspace"), _state(repo, commit, "HEAD")
            finished, others = [], dict[str, list[str]]()
            for each in commit.experiments or ():
                last, kind = each.revs[0], each.executor.state if each.executor is not None else "success"
                if kind == "success":
                    finished.append(_state(repo, last, last.name or last.rev[:7]))
                else:
                    others.setdefault(kind, []).append(last.name or last.rev[:7])
            return workspace, head, finished, [*_notes(others, len(finished)), *_elsewhere(repo, commit.rev)]
    except NotDvcRepoError:
        raise EarmarkError(f"{folder.resolve()} is in no DVC project; {NO_PROJECT}") from None
    except (DvcException, SCMError) as error:
        raise EarmarkError(f"DVC cannot read the experiments: {error}") from None


def _state(repo: Any, found: Any, name: str) -> State:
    """Return one of DVC's states, with the stages of its dvc.lock, which DVC's own table leaves out."""
    if found.data is None:
        raise EarmarkError(f"DVC cannot read {name}: {found.error.msg if found.error else 'it is empty'}")
    files = {PurePath(file): content.get("data") for file, content in found.data.metrics.items()}
    metrics = {file.stem: data for file, data in files.items() if file.parent == METRICS and set(data or ()) >= FIGURES}
    params = found.data.params.get("params.yaml", {}).get("data")
    if not isinstance(params, dict):
        raise EarmarkError(f"params.yaml of {name} cannot be read: see `earmark doctor`")
    return State(name, params, metrics, _stages(repo, found.rev))


def _stages(repo: Any, rev: str) -> dict[str, Any]:
    """Return the stages of dvc.lock at a revision; none before the first run."""
    lock = Path(repo.root_dir) / "dvc.lock"
    try:
        if rev == "workspace":
            text = lock.read_text(encoding="utf-8")
        else:
            with repo.scm.get_fs(rev).open(lock.relative_to(repo.scm.root_dir).as_posix(), encoding="utf-8") as file:
                text = file.read()
    except FileNotFoundError:
        return {}
    return (yaml.load(text, _LOADER) or {}).get("stages") or {}


def _notes(others: dict[str, list[str]], finished: int) -> Iterator[str]:
    """Yield a line on what waits, runs or failed, or on how to start."""
    if not others and not finished:
        yield f"DVC has no experiments of this commit: {START} (docs/guide/sweeps.md)"
    for kind, hint in _HINTS.items():
        if names := others.get(kind):
            yield f"{kind}: {len(names)} ({', '.join(names)}), see `{hint}`"


def _elsewhere(repo: Any, head: str) -> Iterator[str]:
    """Yield a line on experiments that were started from other commits."""
    refs = [match for ref in repo.scm.iter_refs(base="refs/exps/") if (match := _EXPERIMENT.match(ref))]
    if others := sum(match[1] + match[2] != head for match in refs):
        yield f"of other commits: {others}, see `dvc exp list --all-commits`"
