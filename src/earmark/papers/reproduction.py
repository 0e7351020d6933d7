"""The table of the published systems: what they reach here beside what their papers print, each row with its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from earmark import representations
from earmark.config import Config, RepresentationConfig
from earmark.files import markdown_table, read_json
from earmark.models import networks
from earmark.systems import published
from earmark.systems.published import System

FULL = 20_000  # labelled clips from which a corpus of MagnaTagATune's layout is taken for the whole of it
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
    """One trained system: its name, the content of its metrics file, the corpus, and the preset it was trained by.

    ``changed``: its network is known not to be the system's published one; a different count tells so, too.
    """

    system: str
    content: Mapping[str, Any]
    corpus: str
    preset: str
    changed: bool = False


def corpus_name(kind: str, name: str | None, labels: Mapping[str, Any]) -> str:
    """How a row names its data: a small corpus in MagnaTagATune's layout is not MagnaTagATune."""
    if name is not None:
        return name
    if kind == "magnatagatune":
        return "MagnaTagATune" if labels["clips"] >= FULL else "a corpus in MagnaTagATune's layout"
    return kind


def read_runs(config: Config, metrics: Path, experiments: Sequence[str]) -> list[Run]:
    """The runs that have metrics: those experiments of params.yaml, and what `earmark papers` trained."""
    corpus = corpus_name(config.corpus.kind, config.corpus.name, read_json(metrics / "labels.json"))
    return read_experiments(metrics / "experiments", experiments, config, corpus) + read_papers(metrics / "papers")


def read_papers(folder: Path) -> list[Run]:
    """What `earmark papers` wrote: ``folder``/<corpus>/<system>.json, or <system>@<cross-validation>.json."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        content = read_json(path)
        system, _, crossvalidation = path.stem.partition("@")
        corpus = content["corpus"] + (f", {crossvalidation}" if crossvalidation else "")
        found.append(Run(system, content, corpus, content["rule"]))
    return found


def read_experiments(folder: Path, names: Sequence[str], config: Config, corpus: str) -> list[Run]:
    """Experiments of params.yaml: ``folder``/<experiment>.json; one that hears another input says which."""
    found = []
    for name in names:
        experiment = config.experiments[name]
        system = published.get(experiment.system or name)
        own = _is_input_of(system, config.representations[experiment.representation])
        data = corpus if own else f"{corpus} by {experiment.representation}"
        found.append(Run(system.name, read_json(folder / f"{name}.json"), data, experiment.preset))
    return found


def _is_input_of(system: System, config: RepresentationConfig) -> bool:
    """Whether a representation has every setting that the system's own one is defined by."""
    defined = system.representation.config().model_dump(mode="json", exclude_unset=True)
    here = representations.resolve(config).model_dump(mode="json")
    return all(key in here and here[key] == value for key, value in defined.items())


def document(runs: Iterable[Run]) -> str:
    """The page: a table per paper, in the order of ``published.SYSTEMS``."""
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
    """The cells of COLUMNS."""
    figure = system.published.get("roc_auc" if system.task == "tags" else "accuracy")
    paper = "" if figure is None else f"{figure:.3f}"
    if run is None:
        count = "" if system.parameters is None else f"{system.parameters:,}"
        return (system.name, count, system.printed or "", "not trained yet", "", paper, "", "")
    value, interval, data = _tagged(run) if system.task == "tags" else _classified(run)
    count, data = _count(system, run), f"{run.corpus}: {data}"
    return (system.name, count, system.printed or "", value, interval, paper, data, _trained(run))


def _trained(run: Run) -> str:
    """By which preset, for how many epochs, and in what batch if the recipe's was too large."""
    training = run.content["training"]
    epochs = training["epochs"]
    told = f"{run.preset}, {epochs} epoch{'s' * (epochs != 1)}"
    told += f" in {n} folds" if (n := training.get("folds")) else ""
    return told + (f", batch {run.content['batch']}" if "batch" in run.content else "")


def _count(system: System, run: Run) -> str:
    """The published network's count for its own outputs, or that of the network which was trained where it differs."""
    trained, content = run.content["training"]["parameters"], run.content
    tags = content["test"]["tags"] if system.task == "tags" else {"classes": len(content["recall"])}
    if run.changed or trained != _parameters(system.name, sum(tags.values())):
        return f"{trained:,}, changed"
    return f"{trained if system.parameters is None else system.parameters:,}"


@cache
def _parameters(name: str, outputs: int) -> int:
    """How many a system's published network has with another number of outputs; no weight of it is drawn."""
    with torch.device("meta"):
        return networks.count_parameters(published.build(name, outputs), published.get(name).counting)


def _tagged(run: Run) -> tuple[str, str, str]:
    """Macro ROC-AUC, its interval, and what it was measured on."""
    test = run.content["test"]
    roc = test["roc_auc"]
    data = f"{test['clips']} clips, {test['songs']} songs, {test['tags']['defined']} tags"
    return f"{roc['macro']:.3f}", f"{roc['low']:.3f} to {roc['high']:.3f}", data


def _classified(run: Run) -> tuple[str, str, str]:
    """The same for exclusive classes: accuracy normalised by class, the lowest and the highest fold."""
    found, accuracy = run.content, run.content["accuracy"]
    interval = f"{accuracy['lowest_fold']:.3f} to {accuracy['highest_fold']:.3f}"
    data = f"{found['clips']} clips, {found['groups']} groups, {len(found['recall'])} classes"
    return f"{accuracy['normalized']:.3f}", interval, data
