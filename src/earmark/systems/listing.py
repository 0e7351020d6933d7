"""`earmark systems`: the table of all published systems, and all that is known about one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from earmark import yaml_edit
from earmark.config import ConfigError
from earmark.systems import entries, published
from earmark.systems.entries import Values
from earmark.systems.published import RAW
from earmark.systems.system import System

WIDTH = 100  # columns of a terminal
HEADER = ("system", "hears", "parameters", "printed", "published ROC-AUC, others")
FIGURES = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "tpr": "TPR", "fpr": "FPR", "accuracy": "accuracy", "loss": "loss"}


def table() -> str:
    """Return the table, a part for each paper, which is headed by the paper and the recipe of its systems."""
    rows = {name: _row(system) for name, system in published.SYSTEMS.items()}
    widths = [max(len(row[i]) for row in (HEADER, *rows.values())) for i in range(len(HEADER))]
    lines = [_aligned(HEADER, widths)]
    sources = dict.fromkeys(system.source for system in published.SYSTEMS.values())
    for source in sources:
        systems = [system for system in published.SYSTEMS.values() if system.source == source]
        lines += ["", _heading(source, [system.recipe for system in systems if system.recipe is not None])]
        lines += [_aligned(rows[system.name], widths) for system in systems]
    lines += ["", "All about one: earmark systems NAME. Into params.yaml: earmark add NAME [--recipe quick]"]
    return "\n".join(lines) + "\n"


def _heading(source: str, recipes: Sequence[str]) -> str:
    """Return a paper, shortened to the width of a terminal, and the recipe of its systems."""
    recipe = f" (recipe {', '.join(dict.fromkeys(recipes))})" if recipes else ""
    return textwrap.shorten(source, WIDTH - len(recipe), placeholder=" ...") + recipe


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line: counts stand at the right of their columns, texts at the left."""
    cells = [
        cell.rjust(w) if i in (2, 3) else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _row(system: System) -> tuple[str, ...]:
    """Return the cells of HEADER."""
    heard = system.representation
    hears = f"{heard.kind} {heard.rate // 1000}k {system.frames}x{system.dims}"
    count = "" if system.parameters is None else f"{system.parameters:,}"
    figures = [f"{FIGURES[key]} {_figure(key, value)}" for key, value in system.published.items()]
    shown = " ".join(figures).removeprefix("ROC-AUC ").replace("accuracy", "acc")
    return (system.name, hears, count, system.printed or "", shown)


def _figure(key: str, value: float) -> str:
    """Return a figure with the digits of its paper, of which rates and areas have three or four.

    >>> _figure("tpr", 0.8), _figure("pr_auc", 0.4422), _figure("loss", 0.15)
    ('0.800', '0.4422', '0.15')
    """
    return f"{value:g}" if key in ("accuracy", "loss") else f"{value:g}".ljust(5, "0")


def about(name: str) -> str:
    """Return all that is known about a system, and the lines that it needs in a params.yaml that has none of them.

    Raises ConfigError, with names that come close, if there is no such system.
    """
    try:
        system = published.get(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    lines = [system.name, *(_paragraph(key, text) for key, text in _facts(system).items() if text)]
    lines += ["", f"earmark add {name} writes what of these lines params.yaml lacks:"]
    for section, held in _needed(system).items():
        lines += [f"  {section}:", *(f"    {yaml_edit.line(key, values)}" for key, values in held.items())]
    return "\n".join(lines) + "\n"


def _facts(system: System) -> dict[str, str]:
    """Return what there is to say, by its title; the text is empty where there is nothing."""
    heard, per_clip = system.representation, f"{system.frames} frames x {system.dims} dims"
    options = yaml_edit.flow(heard.options)[1:-1]
    shape = f"{system.n_excerpts} excerpts of {per_clip}" if system.n_excerpts > 1 else per_clip
    quick = f"; with --recipe quick: {system.quick}"
    count = "" if system.parameters is None else f"{system.parameters:,} for {system.outputs} {system.task}"
    keras = ", batch norm's statistics included, as Keras counts" if system.counting == "keras" else ""
    network = f" {yaml_edit.flow(system.options)}" if system.options else ""
    return {
        "paper": system.source,
        "hears": f"{heard.kind} at {heard.rate:,} Hz, {heard.n_samples / heard.rate:.2f} s a clip: {shape}"
        + (f"; {options}" if options else ""),
        "network": f"{system.family}{network}",
        "parameters": count + keras * bool(count) + (f"; printed: {system.printed}" if system.printed else ""),
        "published": ", ".join(f"{FIGURES[key]} {_figure(key, value)}" for key, value in system.published.items()),
        "labels": str(system.labels or ""),
        "recipe": f"{system.recipe}{quick}" if system.recipe else "none: it fits itself",
        "note": system.note,
    }


def _paragraph(key: str, text: str) -> str:
    first = f"  {key:<12}"
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def _needed(system: System) -> Mapping[str, dict[str, Values]]:
    """Return the entries of params.yaml by section and name, for the recipe of the paper."""
    heard, rule = system.representation, system.labels or RAW
    labels, representation = entries.labels_name(rule), heard.name or heard.kind
    found: dict[str, dict[str, Values]] = {
        "labels": {labels: entries.labels(rule)},
        "waveforms": {str(heard.rate): entries.waveforms(heard.rate)},
        "representations": {representation: entries.representation(system)},
    }
    if system.recipe is not None:
        found["recipes"] = {system.recipe: entries.recipe(system.recipe)}
    classes = ("CLASS", "ANOTHER") if system.task == "classes" else ()
    section = "crossvalidations" if classes else "experiments"
    made = entries.experiment(system, system.name, representation, labels, system.recipe, classes)
    return found | {section: {system.name: made}}
