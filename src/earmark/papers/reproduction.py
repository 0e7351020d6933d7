"""The page of the published systems: what they reach here beside what their papers print, and on which data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

from earmark.config import Config
from earmark.evaluation.details import read_metrics, trainings_of
from earmark.experiments import ExperimentConfig
from earmark.files import markdown_table
from earmark.models import networks
from earmark.systems import published
from earmark.systems.claims import changes, claimed
from earmark.systems.published import System
from earmark.systems.system import LabelRule

FULL = 20_000  # a corpus in MagnaTagATune's layout with so many labelled clips is taken for MagnaTagATune
COLUMNS = (
    "system",
    "parameters, ours",
    "paper",
    "ROC-AUC, ours",
    "95 % interval",
    "paper",
    "other figures, ours (paper)",
    "measured on",
    "labels",
    "training",
    "otherwise than published",
)
CLASS_COLUMNS = tuple(
    {"ROC-AUC, ours": "accuracy, ours", "95 % interval": "folds"}.get(column, column) for column in COLUMNS
)
OTHERS = {  # by the key of a published figure: its name, and where ours stands in the metrics of the test split
    "pr_auc": ("PR-AUC", ("pr_auc", "macro")),
    "tpr": ("TPR", ("equal_error", "chosen_on_test", "tpr")),
    "fpr": ("FPR", ("equal_error", "chosen_on_test", "fpr")),
    "accuracy": ("accuracy", ("half", "accuracy")),
    "loss": ("loss", ("half", "loss")),
}
INTRODUCTION = """# The published systems

Written by `stages/report.py` from the metrics files, never by hand. The papers' figures are those of MagnaTagATune. A
row says what data ours was measured on, and which labels: how many tags, raw or merged with their synonyms, all clips
or only those with a tag ("clean"), and how the clips were split. Where the corpus is small, ours cannot be compared
with the paper's, but the rows with each other can.

"Parameters, ours" is the count for the paper's number of outputs, which the tests hold to the paper's; a network that
is not the published one has the count that was trained, for the corpus's number of outputs. "Training" says by which
recipe and for how many epochs, and the batch where the recipe's did not fit into memory. True and false positive rates
are those at the thresholds where recall equals specificity on the test split, as Dalla Longa et al. have them; accuracy
and loss are those at a threshold of 0.5. Exclusive classes are judged by the accuracy normalised by class, its mean
over the folds, and the lowest and the highest fold.
"""


@dataclass(frozen=True)
class Run:
    """A trained system: its name, its metrics, the corpus, its labels, by which recipe, and what was changed.

    content: ``test`` and ``training``, or what a cross-validation has measured. labels: as ``label_rule`` returns them,
    empty if they are unknown.
    """

    system: str
    content: Mapping[str, Any]
    corpus: str
    recipe: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    changed: Sequence[str] = ()


def corpus_name(kind: str, name: str | None, labels: Mapping[str, Any]) -> str:
    """Return how a row names its corpus; a small corpus in MagnaTagATune's layout is not MagnaTagATune.

    kind, name: as in params.yaml. labels: the metrics of the stage ``labels``.

    >>> corpus_name("magnatagatune", None, {"clips": 21_108})
    'MagnaTagATune'
    >>> corpus_name("magnatagatune", None, {"clips": 491})
    "a corpus in MagnaTagATune's layout"
    >>> corpus_name("folders", "GTZAN", {"clips": 1000})
    'GTZAN'
    """
    if name is not None:
        return name
    if kind == "magnatagatune":
        return "MagnaTagATune" if labels["clips"] >= FULL else "a corpus in MagnaTagATune's layout"
    return kind


def label_rule(config: Config, name: str) -> dict[str, Any]:
    """Return how the labels of an entry are made: number of tags, whether merged, whether clean, and the split."""
    return asdict(LabelRule.of(config, name))


def read_runs(
    config: Config, metrics: Path, experiments: Sequence[str], crossvalidations: Sequence[str] = ()
) -> list[Run]:
    """Return what claims to be a published system: entries of params.yaml, and what `earmark papers` has trained."""
    found = []
    for section, names in (("experiments", experiments), ("crossvalidations", crossvalidations)):
        folder = metrics / ("details" if section == "experiments" else section)
        entries = getattr(config, section)
        found += [run for name in names if (run := _run(config, section, name, entries[name], folder, metrics))]
    return found + read_papers(metrics / "papers")


def _run(config: Config, section: str, name: str, entry: ExperimentConfig, folder: Path, metrics: Path) -> Run | None:
    """Return an entry of params.yaml with its metrics, None if it claims to be no published system."""
    system = claimed(name, entry)
    if system is None or (system.task == "tags") != (section == "experiments"):
        return None
    counts = read_metrics(metrics / "labels" / f"{entry.labels}.json")
    corpus = corpus_name(config.corpus.kind, config.corpus.name, counts)
    content = read_metrics(folder / f"{name}.json")
    recipe = entry.recipe or ("" if system.recipe is None else "its own")
    if overridden := entry.overrides():
        recipe += f" with {', '.join(f'{key} {value}' for key, value in overridden.items())}"
    if section == "crossvalidations":
        corpus += f", {name}"
    return Run(system.name, content, corpus, recipe, label_rule(config, entry.labels), changes(system, entry, config))


def read_papers(folder: Path) -> list[Run]:
    """Read what `earmark papers` wrote: ``folder``/<corpus>/<system>.json or <system>@<cross-validation>.json."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        content = read_metrics(path)
        name, _, crossvalidation = path.stem.partition("@")
        corpus = content["corpus"] + (f", {crossvalidation}" if crossvalidation else "")
        system = published.SYSTEMS.get(name)
        if system is not None:  # a row that is no more
            recipe = (system.recipe if content["rule"] == "published" else system.quick) or ""
            found.append(Run(name, content, corpus, recipe, content.get("labels", {})))
    return found


def document(runs: Iterable[Run]) -> str:
    """Return the page: a table per paper, in the order of ``published.SYSTEMS``."""
    by_system: dict[str, list[Run]] = {}
    for run in runs:
        by_system.setdefault(run.system, []).append(run)
    sections: dict[str, list[tuple[str, ...]]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for system in published.SYSTEMS.values():
        rows = [_row(system, run) for run in by_system.get(system.name, [])]
        sections.setdefault(system.source, []).extend(rows or [_row(system, None)])
        columns[system.source] = COLUMNS if system.task == "tags" else CLASS_COLUMNS
    tables = (
        f"## {source}\n\n{markdown_table(rows, columns[source])}{_notes(source)}" for source, rows in sections.items()
    )
    return "\n".join([INTRODUCTION, *tables])


def _notes(source: str) -> str:
    """Return a line for each system of a paper of which there is something to say."""
    told = [f"- {s.name}: {s.note}\n" for s in published.SYSTEMS.values() if s.source == source and s.note]
    return "".join(["\n", *told]) if told else ""


def _row(system: System, run: Run | None) -> tuple[str, ...]:
    """Return the cells of COLUMNS, or of CLASS_COLUMNS for exclusive classes."""
    figure = system.published.get("roc_auc" if system.task == "tags" else "accuracy")
    paper = "" if figure is None else f"{figure:.3f}"
    if run is None:
        count = "" if system.parameters is None else f"{system.parameters:,}"
        return (system.name, count, system.printed or "", "not trained yet", "", paper, *[""] * 5)
    value, interval, data = _tagged(run) if system.task == "tags" else _classified(run)
    others = _others(system, run) if system.task == "tags" else ""
    count, data = _count(system, run), f"{run.corpus}: {data}"
    changed = f"changed: {'; '.join(run.changed)}" if run.changed else ""
    ours = (count, system.printed or "", value, interval, paper, others, data, _labels(run), _trained(run), changed)
    return (system.name, *ours)


def _others(system: System, run: Run) -> str:
    """Return our other figures, each with that of the paper, if the paper prints it, in brackets."""
    shown = []
    for key, (name, place) in OTHERS.items():
        if key in system.published:
            ours = run.content["test"]
            for part in place:
                ours = ours.get(part, {})
            shown.append(f"{name} {ours:.3f} ({system.published[key]:.3g})" if ours != {} else f"{name} undefined")
    return ", ".join(shown)


def _labels(run: Run) -> str:
    """Return how the labels were made.

    >>> _labels(Run("crnn", {}, "demo", "quick", {"top": 50, "merged": False, "clean": True, "split": "corpus"}))
    'top 50, raw, clean, split corpus'
    """
    return str(LabelRule(**run.labels)) if run.labels else ""


def _trained(run: Run) -> str:
    """Return by which recipe it was trained, for how many epochs, and the batch if that of the recipe was too large."""
    several = trainings_of(run.content)
    epochs = "/".join(str(each["epochs"]) for each in several)
    told = [run.recipe] if run.recipe else []
    told.append(f"{epochs} epoch{'s' * (epochs != '1')}")
    folds = several[0].get("folds")
    told += [f"{folds} folds"] if folds else [f"{len(several)} seeds"] if len(several) > 1 else []
    return ", ".join(told + ([f"batch {run.content['batch']}"] if "batch" in run.content else []))


def _count(system: System, run: Run) -> str:
    """Return the published number of parameters, or the trained one if the network is not the published one."""
    content, trained = run.content, trainings_of(run.content)[0]["parameters"]
    tags = content["test"]["tags"] if system.task == "tags" else {"classes": len(content["recall"])}
    if trained not in (_parameters(system.name, sum(tags.values()), c) for c in ("trainable", "keras")):
        return f"{trained:,}, changed"
    return f"{trained if system.parameters is None else system.parameters:,}"


@cache
def _parameters(name: str, outputs: int, counting: Literal["trainable", "keras"]) -> int:
    """Return the number of parameters of a system's network with another number of outputs; no weight is drawn."""
    with torch.device("meta"):
        return networks.count_parameters(published.build(name, outputs), counting)


def _tagged(run: Run) -> tuple[str, str, str]:
    """Return the macro ROC-AUC, its interval, and what it was measured on."""
    test = run.content["test"]
    roc = test["roc_auc"]
    data = f"{test['clips']} clips, {test['songs']} songs, {test['tags']['defined']} tags"
    return f"{roc['macro']:.3f}", f"{roc['low']:.3f} to {roc['high']:.3f}", data


def _classified(run: Run) -> tuple[str, str, str]:
    """Return the same for exclusive classes: the accuracy normalised by class, and the lowest and the highest fold."""
    found, accuracy = run.content, run.content["accuracy"]
    interval = f"{accuracy['lowest_fold']:.3f} to {accuracy['highest_fold']:.3f}"
    data = f"{found['clips']} clips, {found['groups']} groups, {len(found['recall'])} classes"
    return f"{accuracy['normalized']:.3f}", interval, data
