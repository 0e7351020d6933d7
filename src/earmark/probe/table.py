"""The rows of a probe: how well a simple model does on each layer of an encoder, on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.files import markdown_table, write_csv

COLUMNS = ("layer", "frames", "dims", "validation ROC-AUC", "95 % interval", "")
CSV_COLUMNS = ("layer", "frames", "dims", "valid_roc_auc", "low", "high", "best")


@dataclass(frozen=True)
class Row:
    """A layer, the shape of its features, and the validation ROC-AUC on it with its interval over songs."""

    layer: str
    frames: int
    dims: int
    roc_auc: float
    low: float
    high: float

    def cells(self, best: bool) -> tuple[str, ...]:
        """Return the texts below COLUMNS."""
        interval = f"{self.low:.4f} to {self.high:.4f}"
        return self.layer, str(self.frames), str(self.dims), f"{self.roc_auc:.4f}", interval, "best" if best else ""


@dataclass(frozen=True)
class Table:
    """The rows, in the order in which the layers run, and a line for each thing that is to be known about them."""

    rows: Sequence[Row]
    notes: Sequence[str]

    @property
    def best(self) -> Row:
        """The row with the highest ROC-AUC; of equal ones that of fewer dims."""
        return max(self.rows, key=lambda row: (row.roc_auc, -row.dims))

    def text(self, markdown: bool = False) -> str:
        """Return the table, for the terminal or as Markdown, and the notes below it."""
        cells = [row.cells(row is self.best) for row in self.rows]
        table = markdown_table(cells, COLUMNS) if markdown else _plain(cells)
        mark = "- " if markdown else ""
        return "\n".join([table, *(f"{mark}{note}" for note in self.notes)]) + "\n"

    def write(self, path: Path) -> None:
        """Write the rows as CSV, unrounded."""
        rows = (
            (row.layer, row.frames, row.dims, row.roc_auc, row.low, row.high, int(row is self.best))
            for row in self.rows
        )
        write_csv(path, CSV_COLUMNS, rows)


def _plain(rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, the names left and the numbers right."""
    lines = [COLUMNS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    aligned = [
        [c.ljust(w) if i in (0, 5) else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    ]
    return "".join("  ".join(line).rstrip() + "\n" for line in aligned)
