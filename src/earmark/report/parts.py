"""The parts of the page for a browser, and what they are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earmark.config import Config
from earmark.evaluation.comparison import Difference
from earmark.evaluation.details import read_metrics
from earmark.report import svg
from earmark.report.fusions import Fused
from earmark.report.quality import Scored
from earmark.report.svg import Chart

OVERLAID = svg.STYLES  # experiments in one chart


@dataclass(frozen=True)
class Table:
    """A table: what it is, its columns, its rows of cells, and whether a field above it chooses rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    filtered: bool = False

    def words(self, column: int) -> bool:
        """Whether a column holds words, which stand on the left."""
        return any(row[column][:1].isalpha() for row in self.rows)


@dataclass(frozen=True)
class Section:
    """A part of the page. text: what to know to read it. folded: parts that are opened, by their titles."""

    key: str
    title: str
    text: Sequence[str]
    charts: Sequence[Chart] = ()
    found: Sequence[Table] = ()
    folded: Mapping[str, tuple[Sequence[Chart], Sequence[Table]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """What the page is made from. here: the scores that are here, by experiment, the best experiment first.

    ranked: all measured experiments, the best first. notes: what is missing.
    """

    config: Config
    metrics: Path
    ranked: Sequence[str]
    classified: Sequence[str]
    here: Mapping[str, Scored]
    pairs: Sequence[Difference]
    fusions: Mapping[str, Fused]
    notes: Sequence[str]

    def figures(self, name: str) -> dict[str, Any]:
        """Return the few figures of an experiment."""
        return read_metrics(self.metrics / "experiments" / f"{name}.json")

    @property
    def overlaid(self) -> Sequence[str]:
        """The experiments that charts with a line for each of them show."""
        return self.ranked[:OVERLAID]
