"""The tags of a file over time as a picture: a row per tag, a column per segment."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from earmark.errors import EarmarkError
from earmark.files import beside
from earmark.prediction import Prediction, Wish

SOURCE = "Source"  # what the PNG itself calls the file that it is of
LONGEST = 200  # bytes of the file's name in that of its picture: a file system takes 255
MOST = 20  # rows that can be read at 1200 pixels


def draw(found: Prediction, wish: Wish, folder: Path) -> Path:
    """Write a PNG of 1200 pixels' width into a folder, named after the file, and return it.

    Raises EarmarkError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EarmarkError("a picture is drawn by matplotlib: pip install 'earmark[plot]'") from None
    order = wish.order(found.tags, found.probabilities)[:MOST]
    edges = np.append(found.starts, max(found.seconds, float(found.starts[-1]) + 1e-3))
    figure = Figure(figsize=(12, 1.4 + 0.28 * max(1, len(order))), dpi=100, layout="constrained")
    axes = figure.subplots()
    if order:
        mesh = axes.pcolormesh(edges, np.arange(len(order) + 1), found.each[:, order].T, vmin=0, vmax=1, cmap="viridis")
        figure.colorbar(mesh, ax=axes, label="probability", pad=0.01)
    axes.set_yticks(np.arange(len(order)) + 0.5, [found.tags[i] for i in order])
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    source = found.file.encode(errors="backslashreplace").decode()  # the name of a file need not be text
    axes.set_title(Path(source).name, parse_math=False)
    target = _place(folder, Path(found.file), source)
    with beside(target) as place:
        figure.savefig(place, format="png", metadata={SOURCE: source})
    return target


def _place(folder: Path, file: Path, source: str) -> Path:
    """Return where the picture of a file belongs: where an earlier one of it is, or where nothing else is.

    Two folders may hold a song of one name.
    """
    name = file.name
    while len(os.fsencode(name)) > LONGEST:
        name = name[:-1]
    target, number = folder / f"{name}.png", 2
    while target.exists() and not _is_of(target, source):
        target, number = folder / f"{name}-{number}.png", number + 1
    return target


def _is_of(picture: Path, source: str) -> bool:
    """Return whether a picture was drawn by ``draw``, of this file."""
    from PIL import Image  # it comes with matplotlib

    try:
        if not picture.is_file():  # a pipe would keep who reads it waiting
            return False
        with Image.open(picture) as image:
            return bool(image.info.get(SOURCE) == source)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
