"""What the page for a browser shows, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from earmark.evaluation.details import read_metrics
from earmark.report import curve_parts, figure_parts
from earmark.report.parts import Section, Sources

MAKERS = (
    figure_parts.experiments,
    figure_parts.pairs,
    figure_parts.tags,
    curve_parts.curves,
    curve_parts.calibration,
    curve_parts.confusion,
    curve_parts.training,
    figure_parts.corpus,
    figure_parts.published_systems,
)


def ranked(metrics: Path, names: Sequence[str]) -> list[str]:
    """Return experiments, that with the highest ROC-AUC first. metrics: the folder of all metrics."""
    return sorted(names, key=lambda name: -read_metrics(metrics / "experiments" / f"{name}.json")["roc_auc"])


def sections(sources: Sources) -> list[Section]:
    """Return the parts of the page that have something to show.

    Raises EarmarkError if a file is damaged.
    """
    found = [section for maker in MAKERS if (section := maker(sources)) is not None]
    if sources.notes:
        found.append(Section("missing", "What is not here", sources.notes))
    return found
