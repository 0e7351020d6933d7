"""Predictions judged by labels from a file of somebody's own: accuracy, and AUC where both classes are there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.corpus.text import csv_records, read_text
from earmark.errors import EarmarkError
from earmark.evaluation import metrics
from earmark.prediction import Prediction

FILE = "file"


@dataclass
class Judge:
    """Labels of files, (tags,) in {0, 1} by their names as the table has them, and what was predicted for them.

    names: of the files that have a row, by their paths. A tag that the table lacks is unknown: it is NaN, and counts
    nowhere.
    """

    path: Path
    tags: tuple[str, ...]
    labels: Mapping[str, NDArray[np.float64]]
    names: Mapping[str, str]
    found: dict[str, Prediction] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, tags: Sequence[str], files: Sequence[str]) -> Judge:
        """Read a CSV with the column ``file`` and a column of 0 and 1 for tags of the model.

        files: the paths of those that will be predicted. A row is of the one that it names; of the one of that name in
        whatever folder, if it names none.

        Raises EarmarkError if it cannot be read, if it has no column ``file``, no tag of the model, another value, a
        file twice, or a name that several files have.
        """
        labels: dict[str, NDArray[np.float64]] = {}
        for where, cells in csv_records(read_text(path, "--labels"), path, [FILE]):
            name = cells.pop(FILE)
            if cells.keys().isdisjoint(tags):
                raise EarmarkError(f"{path} has a column for none of the model's tags, which are {', '.join(tags)}")
            if name in labels:
                raise EarmarkError(f"{where}: {name!r} stands twice")
            labels[name] = np.array([_label(where, tag, cells.get(tag, "")) for tag in tags])
        if not labels:
            raise EarmarkError(f"{path} has no row below its header")
        return cls(path, tuple(tags), labels, _names(path, labels, files))

    def with_labels(self, found: Prediction) -> Prediction:
        """Keep a prediction; return it with its actual tags, if the table has all of them for its file."""
        key = self.names.get(found.file)
        if key is None:
            return found
        self.found[key] = found
        values = self.labels[key]
        return found if np.isnan(values).any() else replace(found, actual=values.astype(np.uint8))

    def text(self) -> str:
        """Return how many files were judged, their accuracy, and ROC-AUC and PR-AUC as macro averages."""
        lines = [f"{self.path}: {len(self.found)} of {len(self.labels)} files have a prediction"]
        if not self.found:
            return lines[0] + "\n"
        actual = np.stack([self.labels[key] for key in self.found])
        scores = np.stack([one.probabilities for one in self.found.values()])
        predicted = np.stack([one.predicted for one in self.found.values()])
        known = ~np.isnan(actual)
        if not known.any():
            return f"{lines[0]}, and none of them a label\n"
        accuracy = float((predicted == (actual > 0.5))[known].mean())
        lines.append(f"accuracy {100 * accuracy:.1f} % of {int(known.sum())} labels")
        whole = [tag for tag in range(len(self.tags)) if known[:, tag].all() and 0 < actual[:, tag].mean() < 1]
        if whole:
            roc, pr = metrics.per_tag(scores[:, whole], actual[:, whole])
            lines.append(f"ROC-AUC {np.nanmean(roc):.4f}, PR-AUC {np.nanmean(pr):.4f}: means of {len(whole)} tags")
        undefined = len(self.tags) - len(whole)
        if undefined:
            lines.append(f"without AUC: {undefined} tags, which lack positives, negatives or labels among these files")
        heard = sum(one.split in ("train", "valid") for one in self.found.values())
        if heard:
            lines.append(f"the model was trained on {heard} of these files: this is no test of them")
        return "\n".join(lines) + "\n"


def _label(where: str, tag: str, cell: str) -> float:
    if cell not in ("0", "1", ""):
        raise EarmarkError(f"{where}: {tag!r} must be 0, 1 or empty, got {cell!r}")
    return float(cell) if cell else np.nan


def _names(path: Path, labels: Collection[str], files: Sequence[str]) -> dict[str, str]:
    """Return the name that the table has of each file with a row. Raises EarmarkError if a name is that of several."""
    exact = {file: name for file in files for name in (file, Path(file).as_posix()) if name in labels}
    taken = set(exact.values())
    found: dict[str, str] = {}
    for file in files:
        name = exact.get(file, Path(file).name)
        if name not in labels or (name in taken and file not in exact):
            continue
        if (other := found.setdefault(name, file)) != file:
            raise EarmarkError(f"{path}: {name!r} may be {other} or {file}; write the path of the one that is meant")
    return {file: name for name, file in found.items()}
