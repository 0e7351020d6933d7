"""The parts of the page that show curves: ROC, precision and recall, calibration, confusion between tags, training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from earmark.files import read_csv
from earmark.report import quality, svg
from earmark.report.parts import Section, Sources, Table
from earmark.report.svg import Chart, Series

EXAMPLES = 10  # pairs of tags, below a matrix


def curves(sources: Sources) -> Section | None:
    """Return ROC curves of what is measured, and those of precision and recall of what has its scores here."""
    styles = {name: number for number, name in enumerate(sources.overlaid)}
    roc = []
    for name, style in styles.items():
        _, rows = read_csv(sources.metrics / "roc" / f"{name}.csv", ("fpr", "tpr"))
        roc.append(Series(name, [(float(x), float(y)) for x, y, *_ in rows], style))
    if not roc:
        return None
    unit = (0.0, 1.0)
    charts = [svg.line_chart("ROC curves", roc, "false positive rate", "true positive rate", unit, unit, diagonal=True)]
    pr = [
        Series(name, quality.precision_recall(sources.here[name].scores.values, sources.here[name].targets), style)
        for name, style in styles.items()
        if name in sources.here
    ]
    if pr:
        charts.append(svg.line_chart("Precision and recall", pr, "recall", "precision", unit, unit))
    text = ["Means over all defined tags and seeds. A point on the dotted diagonal is what chance reaches."]
    return Section("curves", "ROC, precision and recall", [*text, *_some(sources)], charts)


def _some(sources: Sources) -> list[str]:
    hidden = len(sources.ranked) - len(sources.overlaid)
    return [f"Shown are the best {len(sources.overlaid)} of {len(sources.ranked)} experiments."] if hidden > 0 else []


def calibration(sources: Sources) -> Section | None:
    """Return whether scores can be taken for probabilities."""
    series, rows = [], []
    for style, name in enumerate(sources.overlaid):
        if name in sources.here:
            points, error = quality.calibration(sources.here[name].scores.values, sources.here[name].targets)
            series.append(Series(name, points, style))
            rows.append([name, f"{error:.4f}"])
    if not series:
        return None
    text = [
        f"All scores of the test split in {quality.BINS} groups of equal size, from the lowest to the highest: how "
        "often the tag is there, by the mean score. A tagger whose probabilities mean what they say follows the "
        "dotted diagonal; below it, it is too sure. The error is the mean distance from it."
    ]
    unit = (0.0, 1.0)
    chart = svg.line_chart("Calibration", series, "mean score", "share of positives", unit, unit, diagonal=True)
    table = Table("Calibration", ("experiment", "expected calibration error"), rows)
    return Section("calibration", "Calibration", [*text, *_some(sources)], [chart], [table])


def confusion(sources: Sources) -> Section | None:
    """Return which tags are taken for others, a matrix for each experiment."""
    folded: dict[str, tuple[Sequence[Chart], Sequence[Table]]] = {}
    header = ("has", "taken for", "clips", "predicted", "songs", "usual", "lift")
    for name in sources.overlaid:
        if name in sources.here and (found := quality.matrix(sources.here[name])).names:
            chart = svg.matrix_chart(f"Tags that {name} takes for others", found.names, found.shares, found.cells)
            rows = [
                [
                    p.has,
                    p.taken_for,
                    f"{p.clips}",
                    f"{p.predicted}",
                    f"{p.songs}",
                    f"{100 * p.base:.0f} %",
                    f"{p.lift:.1f}",
                ]
                for p in found.pairs[:EXAMPLES]
            ]
            folded[name] = [chart], [Table(f"Pairs that {name} confuses most", header, rows)]
    text = [
        "Of the clips that have the row's tag and lack the column's, the share in percent that got the column's all "
        "the same. The tags are those of the worst pairs. `earmark listen` plays these clips: some are mistakes of the "
        "tagger, others are labels that somebody forgot."
    ]
    return Section("confusion", "Tags that are taken for others", text, folded=folded) if folded else None


def training(sources: Sources) -> Section | None:
    """Return how validation and losses went over the epochs."""
    auc, loss, idle = list[Series](), list[Series](), list[str]()
    for style, name in enumerate(sources.overlaid):
        columns = _epochs(sources.metrics / "training" / f"{name}.csv")
        if not columns:
            idle.append(name)
        for number, found in enumerate(columns):
            again = number > 0  # another seed has the same line, and no name of its own
            auc.append(Series("" if again else name, found["valid_roc_auc"], style, again))
            loss.append(Series("" if again else f"{name}, validation", found["valid_loss"], style, again))
            loss.append(Series("", found["train_loss"], style, thin=True))
    if not any(one.points for one in auc):
        return None
    charts = [
        _over_epochs("Validation ROC-AUC over the epochs", auc, "validation ROC-AUC"),
        _over_epochs("Loss over the epochs", loss, "binary cross-entropy"),
    ]
    text = [
        "Thin lines in the second chart are the losses of training; they hold mixup and jitter where a recipe does."
    ]
    if idle:
        text.append(f"Without epochs, because they fit themselves: {', '.join(idle)}.")
    return Section("training", "Training", [*text, *_some(sources)], charts)


def _epochs(path: Path) -> list[dict[str, list[tuple[float, float]]]]:
    """Return the curves of every seed, by column, as points (epoch, value); none of a model that has no epochs."""
    header, rows = read_csv(path, ())
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        epoch = float(cells["epoch"])
        columns = found.setdefault(cells.get("seed", ""), {})
        for key in ("train_loss", "valid_loss", "valid_roc_auc"):
            if cells.get(key) and math.isfinite(value := float(cells[key])):
                columns.setdefault(key, []).append((epoch, value))
    whole: dict[str, list[tuple[float, float]]] = {"train_loss": [], "valid_loss": [], "valid_roc_auc": []}
    return [whole | columns for columns in found.values()]


def _over_epochs(title: str, series: Sequence[Series], label: str) -> Chart:
    shown = [one for one in series if one.points]
    xs, ys = ([point[at] for one in shown for point in one.points] for at in (0, 1))
    margin = 0.05 * (max(ys) - min(ys)) or 0.01
    return svg.line_chart(title, shown, "epoch", label, (0, max(1, *xs)), (min(ys) - margin, max(ys) + margin))
