"""`earmark weights`: published weights become a file that `earmark predict` and others use by its name."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from earmark.files import markdown_table
from earmark.weights import musicnn
from earmark.weights.checkpoint import DATA, INDEX, read
from earmark.weights.registry import WEIGHTS, get, place
from earmark.weights.sources import fetch, files


def convert(name: str, folder: Path, source: Path) -> Path:
    """Write the weights of that name into a folder, and return the file: the same bytes every time.

    source: a wheel or a folder.

    Raises EarmarkError if the name is unknown, or if the files are not what they should be.
    """
    weights = get(name)
    found = files(weights, source)
    target = place(folder, name)
    musicnn.model(weights, read(found[INDEX], found[DATA]), found[DATA].name).save(target)
    return target


def prepare(names: Sequence[str], folder: Path, source: Path | None = None) -> str:
    """Convert weights, or list those that there are if none is named. Return what to tell the user.

    source: pip fetches the wheel if it is None.
    """
    if not names:
        return _listed()
    packages = {name: get(name).package for name in names}
    lines = []
    with tempfile.TemporaryDirectory(prefix="earmark-weights-") as fetched:
        for name, package in packages.items():
            file = convert(name, folder, source or fetch(package, Path(fetched)))
            lines.append(f"{file}: {file.stat().st_size / 1e6:.1f} MB, {get(name).source} ({get(name).licence})\n")
    return "".join(lines)


def _listed() -> str:
    """Return a table of the published weights, with the figures that their authors print."""
    rows = [
        (
            weights.name, weights.trained_on, f"{len(weights.tags)}", f"{weights.published['roc_auc']:.4f}",
            f"{weights.published['pr_auc']:.4f}", weights.licence, weights.source.partition(",")[0],
        )
        for weights in WEIGHTS.values()
    ]  # fmt: skip
    columns = ("weights", "trained on", "tags", "ROC-AUC, published", "PR-AUC, published", "licence", "source")
    return markdown_table(rows, columns)
