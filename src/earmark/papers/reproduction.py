"""The page of the published systems: what they reach here beside what their papers print, and on which data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from earmark.config import Config, RepresentationConfig
from earmark.files import markdown_table, read_json
from earmark.models import networks
from earmark.systems import published
from earmark.systems.published import System

FULL = 20_000  # a corpus in MagnaTagATune's layout with so many labelled clips is taken for MagnaTagATune
COLUMNS = (
    "system",
    "parameters, ours",
    "paper",
    "ROC-AUC, ours",
    "95 % interval",
    "paper",
    "measured on",
    "training",
)
CLASS_COLUMNS = tuple(
    {"ROC-AUC, ours": "accuracy, ours", "95 % interval": "folds"}.get(column, column) for column in COLUMNS
)
INTRODUCTION = """# The published systems

Written by `stages/report.py` from the metrics files, never by hand. The papers' figures are those of MagnaTagATune. A
row says what data ours was measured on, and by which representation of params.yaml where that is not the system's own:
where the corpus is small, ours cannot be compared with the paper's, but the rows with each other can.

"Parameters, ours" is the count for the paper's number of outputs, which the tests hold to the paper's. A network that
is not the published one, because its layers or its input are others, is marked "changed" and has the count that was
trained, for the corpus's number of outputs. "Training" says by which rule and for how many epochs, and the batch where
the rule's did not fit into memory. Exclusive classes are judged by the accuracy normalised by class, its mean over the
folds, and the lowest and the highest fold.
"""


@dataclass(frozen=True)
class Run:
    """A trained system: its name, the content of its metrics file, the corpus, and the preset it was trained by.

    changed: the network is known to differ from the published one; another number of parameters says so, too.
    """

    system: str
    content: Mapping[str, Any]
    corpus: str
    preset: str
    changed: bool = False


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


def read_runs(config: Config, metrics: Path, experiments: Sequence[str]) -> list[Run]:
    """Return the given experiments of params.yaml and everything that `earmark papers` has trained."""
    corpus = corpus_name(config.corpus.kind, config.corpus.name, read_json(metrics / "labels.json"))
    return read_experiments(metrics / "experiments", experiments, config, corpus) + read_papers(metrics / "papers")


def read_papers(folder: Path) -> list[Run]:
    """Read what `earmark papers` wrote: ``folder``/<corpus>/<system>.json or <system>@<cross-validation>.json."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        content = read_json(path)
        system, _, crossvalidation = path.stem.partition("@")
        corpus = content["corpus"] + (f", {crossvalidation}" if crossvalidation else "")
        found.append(Run(system, content, corpus, content["rule"]))
    return found


def read_experiments(folder: Path, names: Sequence[str], config: Config, corpus: str) -> list[Run]:
    """Read the metrics of experiments, ``folder``/<experiment>.json.

    If the representation of an experiment is not that of its system, it is named with the corpus.
    """
    found = []
    for name in names:
        experiment = config.experiments[name]
        system = published.get(experiment.system or name)
        own = _is_input_of(system, config.representations[experiment.representation])
        data = corpus if own else f"{corpus} by {experiment.representation}"
        found.append(Run(system.name, read_json(folder / f"{name}.json"), data, experiment.preset))
    return found


def _is_input_of(system: System, config: RepresentationConfig) -> bool:
    """Tell whether a representation has every setting that the system defines."""
    defined = system.representation.config().model_dump(mode="json", exclude_unset=True)
    here = config.model_dump(mode="json")
    return all(key in here and here[key] == value for key, value in defined.items())


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
    tables = (f"## {source}\n\n{markdown_table(rows, columns[source])}" for source, rows in sections.items())
    return "\n".join([INTRODUCTION, *tables])


def _row(system: System, run: Run | None) -> tuple[str, ...]:
    """Return the cells of COLUMNS, or of CLASS_COLUMNS for exclusive classes."""
    figure = system.published.get("roc_auc" if system.task == "tags" else "accuracy")
    paper = "" if figure is None else f"{figure:.3f}"
    if run is None:
        count = "" if system.parameters is None else f"{system.parameters:,}"
        return (system.name, count, system.printed or "", "not trained yet", "", paper, "", "")
    value, interval, data = _tagged(run) if system.task == "tags" else _classified(run)
    count, data = _count(system, run), f"{run.corpus}: {data}"
    return (system.name, count, system.printed or "", value, interval, paper, data, _trained(run))


def _trained(run: Run) -> str:
    """Return by which preset it was trained, for how many epochs, and the batch if that of the recipe was too large."""
    training = run.content["training"]
    epochs = training["epochs"]
    told = f"{run.preset}, {epochs} epoch{'s' * (epochs != 1)}"
    told += f" in {n} folds" if (n := training.get("folds")) else ""
    return told + (f", batch {run.content['batch']}" if "batch" in run.content else "")


def _count(system: System, run: Run) -> str:
    """Return the published number of parameters, or the trained one if the network is not the published one."""
    trained, content = run.content["training"]["parameters"], run.content
    tags = content["test"]["tags"] if system.task == "tags" else {"classes": len(content["recall"])}
    if run.changed or trained != _parameters(system.name, sum(tags.values())):
        return f"{trained:,}, changed"
    return f"{trained if system.parameters is None else system.parameters:,}"


@cache
def _parameters(name: str, outputs: int) -> int:
    """Return the number of parameters of a system's network with another number of outputs; no weight is drawn."""
    with torch.device("meta"):
        return networks.count_parameters(published.build(name, outputs), published.get(name).counting)


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
