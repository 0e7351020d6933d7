"""``earmark compare``: what is here against another git revision, by the scores that DVC keeps of both.

The other revision is not checked out. Its settings come from git, its scores and labels from DVC's cache or, if they
are not there, from a remote.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from earmark import strict_yaml
from earmark.config import EvaluationConfig, entry, load
from earmark.corpus.label_table import Labelled, read_labels
from earmark.corpus.manifest import TagTable
from earmark.errors import EarmarkError, reason
from earmark.evaluation.comparison import corrected, verdict
from earmark.evaluation.details import trainings_of
from earmark.evaluation.overlap import Row, Version, across
from earmark.evaluation.scoring import read_scores
from earmark.files import markdown_table, read_json

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

T = TypeVar("T")


@dataclass
class Place:
    """A project as it is at one place, here or in a revision.

    where: the place, as in "only here". params, data, metrics: where settings and results lie in the project. fetch:
    returns a file by its path in the project; raises FileNotFoundError. lacks: what makes or gets a file, by its path
    and experiment.
    """

    where: str
    params: str
    data: str
    metrics: str
    fetch: Callable[[str], Path]
    lacks: Callable[[str, str], str]
    _labels: dict[str, tuple[list[Labelled], TagTable]] = field(default_factory=dict, init=False)

    @cached_property
    def experiments(self) -> dict[str, Mapping[str, Any]]:
        """The settings of the experiments by name, as they are written: another version may have other keys.

        Raises EarmarkError if they cannot be read.
        """
        try:
            content = self._opened(self.params, strict_yaml.read)
        except FileNotFoundError:
            raise EarmarkError(f"{self.params} does not exist {self.where}") from None
        found = content.get("experiments") if isinstance(content, dict) else None
        if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
            raise EarmarkError(f"{self.params} {self.where} has no section `experiments` with settings by name")
        return {str(name): one for name, one in found.items()}

    def version(self, name: str) -> Version:
        """Return an experiment with its scores and labels.

        Raises EarmarkError if a file is absent or damaged, with the command that makes it.
        """
        scores = self._of(name, f"{self.data}/scores/{name}.csv", read_scores)
        details = self._of(name, f"{self.metrics}/details/{name}.json", read_json)
        fitted = isinstance(details.get("training"), dict) and not trainings_of(details)[0].get("seeded", True)
        path = f"{self.data}/labels/{self.experiments[name].get('labels', '')}/labels.csv"
        if path not in self._labels:
            self._labels[path] = self._of(name, path, read_labels)
        return Version(self.where, scores, *self._labels[path], not fitted)

    def _of(self, name: str, path: str, read: Callable[[Path], T]) -> T:
        """Read a file of an experiment. Raises EarmarkError, with the command that makes it, if it is absent."""
        try:
            return self._opened(path, read)
        except FileNotFoundError:
            raise EarmarkError(self.lacks(path, name)) from None

    def _opened(self, path: str, read: Callable[[Path], T]) -> T:
        """Read a file; errors name it as it is called in the project."""
        file = self.fetch(path)
        try:
            return read(file)
        except EarmarkError as error:
            raise EarmarkError(str(error).replace(str(file), f"{path} {self.where}")) from None


def compare_with(
    revision: str, names: Sequence[str], params: Path, data: Path, metrics: Path, root: Path, markdown: bool = False
) -> str:
    """Compare experiments with those of a git revision, and return the table and what to know about it.

    revision: a branch, tag or hash, or whatever git takes for one; an experiment of DVC by its name. names: the
    experiments (default: those that both have). params, data, metrics: their places in ``root``, a folder of the
    project. markdown: whether the text is made for a pull request.

    Raises EarmarkError if there is no git repository or no such revision, if a setting is wrong, or if what is to be
    compared has no scores, with the command that makes or gets them.
    """
    drawn = load(root / params).evaluation
    with _places(revision, (params, data, metrics), root) as (here, there, commits):
        chosen = _chosen(names, here, there)
        rows, notes = _rows(chosen, here, there, drawn, strict=bool(names))
        notes += _alone(here, there) if not names else []
    return _text(rows, notes, revision, commits, drawn, markdown)


@contextmanager
def _places(revision: str, paths: Sequence[Path], root: Path) -> Iterator[tuple[Place, Place, tuple[str, str]]]:
    """Yield the project here and in a revision, and both commits for a reader."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import RevError, SCMError, resolve_rev

    root = root.resolve()
    try:
        with Repo(str(root)) as repo:
            commit = resolve_rev(repo.scm, revision)
            mine = f"{repo.scm.get_rev()[:7]}{' with changes' * repo.scm.is_dirty()}"
            top = Path(repo.root_dir)
    except NotDvcRepoError:
        raise EarmarkError(f"{root} lies in no project: there is no folder .dvc in it or above it") from None
    except RevError:
        raise EarmarkError(
            f"there is no git revision {revision!r}: a typing mistake, or a branch that was not fetched (`git fetch`)"
        ) from None
    except SCMError:
        raise EarmarkError(f"{root} is no git repository, so that it has no revision {revision!r}") from None
    params, data, metrics = (_inside(top, root / path) for path in paths)
    system = DVCFileSystem(str(top), rev=commit)
    with tempfile.TemporaryDirectory() as folder:
        here = Place("here", params, data, metrics, lambda path: _present(top / path), _absent_here)
        there = Place(
            f"in {revision}",
            params,
            data,
            metrics,
            fetch=lambda path: _copied(system, path, Path(folder)),
            lacks=lambda path, name: _absent_there(revision, path, name),
        )
        try:
            yield here, there, (mine, commit[:7])
        except DvcException as error:
            raise EarmarkError(f"DVC cannot read {revision}: {error}") from None
        finally:
            system.close()


def _inside(project: Path, path: Path) -> str:
    """Return where a path lies in the project. Raises EarmarkError if it lies elsewhere: no revision has it."""
    plain = Path(os.path.normpath(path))  # as it is written: the folder of data may be a link to another disk
    if not plain.is_relative_to(project):
        raise EarmarkError(f"{plain} must lie in the project {project}, of which git keeps revisions")
    return plain.relative_to(project).as_posix()


def _present(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(path)
    return path


def _copied(system: DVCFileSystem, path: str, folder: Path) -> Path:
    """Copy a file of a revision from git, from DVC's cache or from its remote, unless that was done before."""
    copy = folder / path
    if not copy.exists():
        try:
            content = system.read_bytes(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise EarmarkError(f"{path} cannot be read from DVC's cache or remote: {reason(error)}") from None
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    return copy


def _absent_here(path: str, name: str) -> str:
    return f"{path} is not here: `dvc repro evaluate@{name}` makes it, `dvc pull {path}` gets what others made"


def _absent_there(revision: str, path: str, name: str) -> str:
    return (
        f"{path} in {revision} is neither in DVC's cache nor in its remote: `git checkout {revision} && dvc repro "
        f"evaluate@{name} && dvc push` makes it; where it was made, `dvc push` is enough"
    )


def _chosen(names: Sequence[str], here: Place, there: Place) -> list[str]:
    """Return the experiments to compare. Raises EarmarkError if one is absent from a place, or if both share none."""
    for name in names:
        if name not in here.experiments and name not in there.experiments:
            entry("experiments", here.experiments, name)
        for place in (here, there):
            if name not in place.experiments:
                raise EarmarkError(
                    f"experiment {name} does not exist {place.where}, where there are {', '.join(place.experiments)}"
                )
    shared = [name for name in here.experiments if name in there.experiments]
    if not shared:
        raise EarmarkError(
            f"there is nothing to compare: no experiment has one name here ({', '.join(here.experiments)}) and "
            f"{there.where} ({', '.join(there.experiments)})"
        )
    return list(dict.fromkeys(names)) or shared


def _rows(
    names: Sequence[str], here: Place, there: Place, drawn: EvaluationConfig, strict: bool
) -> tuple[dict[str, Row], list[str]]:
    """Compare experiments; return the rows by name, and a line for each whose versions differ or lack something.

    strict: one that cannot be compared is an error. It always is if none can be compared.
    """
    rows, notes, failed = {}, [], []
    for name in names:
        try:
            row = across(name, here.version(name), there.version(name), drawn.resamples, drawn.seed)
        except EarmarkError as error:
            failed.append(f"{name}: {error}")
            continue
        rows[name] = row
        notes += [row.note] if row.note else []
    if failed and (strict or not rows):
        raise EarmarkError("\n".join(failed))
    return rows, [*notes, *(f"not compared: {text}" for text in failed)]


def _alone(here: Place, there: Place) -> list[str]:
    """Return a line on the experiments of each place that the other one has not; a renamed one is in both."""
    pairs = ((here, there), (there, here))
    alone = [(place, [name for name in place.experiments if name not in other.experiments]) for place, other in pairs]
    return [f"only {place.where}: {', '.join(names)}" for place, names in alone if names]


def _text(
    rows: Mapping[str, Row],
    notes: Sequence[str],
    revision: str,
    commits: tuple[str, str],
    drawn: EvaluationConfig,
    markdown: bool,
) -> str:
    """Return the table, what was compared and how, and the notes. Code is marked in ``markdown``."""

    def code(text: str) -> str:
        return f"`{text}`" if markdown else text

    pairs = corrected([row.found for row in rows.values() if not row.same])
    same = len(rows) - len(pairs)
    told = [f"{same} ha{'s' if same == 1 else 've'} the same scores in both."] if same else []
    told += [verdict(pairs)] if pairs else []
    cells = [
        (
            name,
            f"{row.here:.4f}",
            f"{row.there:.4f}",
            f"{row.found.difference:+.4f}",
            f"{row.found.low:+.4f} to {row.found.high:+.4f}",
            "no, same scores" if row.same else row.found.distinct,
        )
        for name, row in rows.items()
    ]
    other = code(revision.replace("|", "\\|"))  # git allows it in the name of a branch
    header = ("experiment", "here", other, "difference", "95 % interval", "distinct")
    how = (
        f"Mean ROC-AUC on the test clips of both; here: {code(commits[0])}, {code(revision)}: {code(commits[1])}. "
        f"Intervals by {drawn.resamples:,} resamples of songs and seeds."
    )
    lines = "".join(f"- {note}\n" for note in notes)
    return "\n".join(part for part in (markdown_table(cells, header), f"{' '.join([how, *told])}\n", lines) if part)
