"""The tables of all experiments and cross-validations, from the metrics files that are here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.config import Config
from earmark.files import markdown_table

COLUMNS = ("experiment", "ROC-AUC", "95 % interval", "PR-AUC", "tags", "clips", "songs", "parameters", "epochs")
CLASS_COLUMNS = ("cross-validation", "accuracy", "folds", "raw", "clips", "groups", "epochs")
WRITTEN_FOR = {  # the folders of metrics that have a file for each entry of a section of params.yaml
    "experiments": ("experiments", "tags", "roc", "training"),
    "crossvalidations": ("crossvalidations", "confusion"),
    "waveforms": ("decode",),
}


@dataclass(frozen=True)
class Present:
    """What of params.yaml can be reported: who has metrics, who has scores, and a line for each that lacks them."""

    evaluated: list[str]
    compared: list[str]
    classified: list[str]
    notes: list[str]


def survey(config: Config, metrics: Path, scores: Path, labels: Path) -> Present:
    """Look for the files of every experiment and cross-validation: a clone need not have pulled them all."""
    notes: list[str] = []

    def having(names: Iterable[str], folder: Path, suffix: str, lack: str) -> list[str]:
        files = {name: folder / f"{name}{suffix}" for name in names}
        notes.extend(lack.format(name=n, file=f.as_posix()) for n, f in files.items() if not f.is_file())
        return [name for name, file in files.items() if file.is_file()]

    unmeasured = "not measured: {name}, {file} is not here: `dvc repro "
    evaluated = having(config.experiments, metrics / "experiments", ".json", unmeasured + "evaluate@{name}`")
    compared = having(evaluated, scores, ".csv", "not compared: {name}, its scores are not here: `dvc pull {file}`")
    classified = having(
        config.crossvalidations, metrics / "crossvalidations", ".json", unmeasured + "crossvalidate@{name}`"
    )
    if compared and not labels.is_file():
        notes.append(f"not compared: any, the labels are not here: `dvc pull {labels.as_posix()}`")
        compared = []
    return Present(evaluated, compared, classified, notes)


def page(metrics: Path, present: Present, pairs: Sequence[Sequence[str]], pair_columns: Sequence[str]) -> str:
    """The experiments, their pairs, the cross-validations, and what is missing; a table without rows is left out."""
    tables = [
        markdown_table(table(metrics / "experiments", present.evaluated), COLUMNS),
        markdown_table(pairs, pair_columns) if pairs else "",
        markdown_table(class_table(metrics / "crossvalidations", present.classified), CLASS_COLUMNS)
        if present.classified
        else "",
        "".join(f"- {note}\n" for note in present.notes),
    ]
    return "\n".join(text for text in tables if text)


def table(folder: Path, experiments: Sequence[str]) -> list[tuple[str, ...]]:
    """One row per experiment, best ROC-AUC first; ``folder`` holds their JSON files."""
    return [_row(*item) for item in _read(folder, experiments, lambda found: -found["test"]["roc_auc"]["macro"])]


def class_table(folder: Path, names: Sequence[str]) -> list[tuple[str, ...]]:
    """One row per cross-validation, the best accuracy normalised by class first."""
    return [_class_row(*item) for item in _read(folder, names, lambda found: -found["accuracy"]["normalized"])]


def _read(
    folder: Path, names: Sequence[str], key: Callable[[Mapping[str, Any]], float]
) -> list[tuple[str, dict[str, Any]]]:
    found = [(name, json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))) for name in names]
    return sorted(found, key=lambda item: key(item[1]))


def _row(name: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    test, training = content["test"], content["training"]
    roc, tags = test["roc_auc"], test["tags"]
    return (
        name,
        f"{roc['macro']:.4f}",
        f"{roc['low']:.4f} to {roc['high']:.4f}",
        f"{test['pr_auc']['macro']:.4f}",
        f"{tags['defined']} of {tags['defined'] + tags['undefined']}",
        str(test["clips"]),
        str(test["songs"]),
        f"{training['parameters']:,}",
        str(training["epochs"]),
    )


def _class_row(name: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    """Accuracy normalised by class as the mean of the folds, its lowest and highest fold, and of all clips as it is."""
    accuracy = content["accuracy"]
    return (
        name,
        f"{accuracy['normalized']:.4f}",
        f"{accuracy['lowest_fold']:.4f} to {accuracy['highest_fold']:.4f}",
        f"{accuracy['raw']:.4f}",
        str(content["clips"]),
        str(content["groups"]),
        str(content["training"]["epochs"]),
    )


def remove_leftovers(config: Config, metrics: Path, scores: Path) -> list[Path]:
    """Remove the metrics, plots and scores of entries that params.yaml no longer has; returns what was removed.

    DVC forgets a stage that is gone, but leaves its files, which would pass for results of today.
    """
    folders = [(metrics / folder, section) for section, names in WRITTEN_FOR.items() for folder in names]
    gone = []
    for folder, section in [*folders, (scores, "experiments")]:
        names = set(map(str, getattr(config, section)))
        files = [file for file in sorted(folder.glob("*")) if file.suffix in (".json", ".csv")]
        gone += [file for file in files if file.stem not in names]
    for file in gone:
        file.unlink()
    return gone


def spent(logs: Path, config: Config) -> list[str]:
    """A line for each experiment and cross-validation whose seconds the logs hold; the last run counts.

    logs: a folder of JSON lines with "stage", "name" and "seconds". They are for the terminal alone: a time in a file
    that git or DVC hashes would make equal results differ.
    """
    found = {(entry.get("stage"), entry.get("name")): entry.get("seconds") for entry in _entries(logs)}
    wanted = [("train", name) for name in config.experiments]
    wanted += [("crossvalidate", name) for name in config.crossvalidations]
    times = [(stage, name, found.get((stage, name))) for stage, name in wanted]
    return [f"{stage} {name}: {seconds:.1f} s" for stage, name, seconds in times if isinstance(seconds, int | float)]


def _entries(logs: Path) -> Iterator[dict[str, Any]]:
    """The objects of all logs; a line that was cut short says nothing."""
    for file in sorted(logs.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry
