"""Predictions judged by labels from a file of somebody's own: accuracy, and AUC where both classes are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import EarmarkError
from earmark.evaluation import metrics
from earmark.files import read_csv
from earmark.prediction import Prediction

FILE = "file"


@dataclass
class Judge:
    """Labels of files, (tags,) in {0, 1} by their names as the table has them, and what was predicted for them.

    A tag that the table lacks is unknown: it is NaN, and counts nowhere.
    """

    path: Path
    tags: tuple[str, ...]
    labels: Mapping[str, NDArray[np.float64]]
    found: dict[str, Prediction] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, tags: Sequence[str]) -> Judge:
        """Read a CSV with the column ``file`` and a column of 0 and 1 for tags of the model.

        Raises EarmarkError if it cannot be read, if it has no column ``file``, no tag of the model, another value, or a
        file twice.
        """
        header, rows = read_csv(path, (FILE,))
        columns = {name: number for number, name in enumerate(header) if name in tags}
        if not columns:
            raise EarmarkError(f"{path} has a column for none of the model's tags, which are {', '.join(tags)}")
        place = header.index(FILE)
        labels: dict[str, NDArray[np.float64]] = {}
        for number, row in enumerate(rows, 2):
            if row[place] in labels:
                raise EarmarkError(f"{path}, row {number}: {row[place]!r} stands twice")
            values = np.full(len(tags), np.nan)
            for name, column in columns.items():
                if row[column] not in ("0", "1", ""):
                    raise EarmarkError(f"{path}, row {number}: {name!r} must be 0, 1 or empty, got {row[column]!r}")
                values[list(tags).index(name)] = float(row[column]) if row[column] else np.nan
            labels[row[place]] = values
        return cls(path, tuple(tags), labels)

    def with_labels(self, found: Prediction) -> Prediction:
        """Keep a prediction; return it with its actual tags, if the table has all of them for its file."""
        path = Path(found.file)
        key = next((name for name in (found.file, path.as_posix(), path.name) if name in self.labels), None)
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
