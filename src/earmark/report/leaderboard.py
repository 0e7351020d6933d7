"""The leaderboard: experiments of the workspace and of DVC's, the best first, with what differs in params.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earmark.config import entry
from earmark.experiments import ExperimentConfig, Recipe
from earmark.files import markdown_table

COLUMNS = ("from", "experiment", "ROC-AUC", "95 % interval", "PR-AUC", "what differs")
CSV_COLUMNS = ("from", "experiment", "roc_auc", "low", "high", "deviation", "pr_auc", "differs")
UNSET = "the default"
ELSEWHERE = "nothing in params.yaml: code or data"
REWORDED = "nothing: the same values are written otherwise"

Settings = Mapping[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True)
class State:
    """One state of the project: the workspace, a commit, or an experiment of DVC's.

    params: the content of params.yaml. metrics: of each experiment, the content of metrics/experiments/<name>.json.
    stages: those of dvc.lock, which say what ran with which settings, code and data.
    """

    name: str
    params: Settings
    metrics: Mapping[str, Mapping[str, float]]
    stages: Settings

    @property
    def experiments(self) -> Settings:
        """The section ``experiments`` of params.yaml."""
        return self.params.get("experiments") or {}

    def ran(self, experiment: str) -> tuple[Any, ...]:
        """Return what an experiment was trained and scored with, to be compared with another state's."""
        return (self.metrics.get(experiment), *(self.stages.get(f"{s}@{experiment}") for s in ("train", "evaluate")))


@dataclass(frozen=True)
class Row:
    """An experiment and its figures. origin: the name of the state. differs: from what it is compared with."""

    origin: str
    experiment: str
    figures: Mapping[str, float]
    differs: str

    def cells(self) -> tuple[str, ...]:
        """Return the texts below COLUMNS."""
        found = self.figures
        roc = f"{found['roc_auc']:.4f}" + (f" ± {found['deviation']:.4f}" if "deviation" in found else "")
        interval = f"{found['low']:.4f} to {found['high']:.4f}"
        return self.origin, self.experiment, roc, interval, f"{found['pr_auc']:.4f}", self.differs

    def values(self) -> tuple[object, ...]:
        """Return the values below CSV_COLUMNS, unrounded; the deviation is empty where there is one seed."""
        figures = (self.figures.get(key, "") for key in CSV_COLUMNS[2:-1])
        return self.origin, self.experiment, *figures, self.differs


@dataclass(frozen=True)
class Leaderboard:
    """The rows, the best first, and a line for each thing that is not among them."""

    rows: Sequence[Row]
    notes: Sequence[str]

    def text(self, markdown: bool = False) -> str:
        """Return the table, for the terminal or as Markdown, and the notes below it."""
        cells = [row.cells() for row in self.rows]
        table = markdown_table(cells, COLUMNS) if markdown else _plain(cells)
        mark = "- " if markdown else ""
        return "\n".join([table, *(f"{mark}{note}" for note in self.notes)]).rstrip("\n") + "\n"


def leaderboard(workspace: State, head: State, finished: Sequence[State], baseline: str | None = None) -> Leaderboard:
    """Return the experiments of the workspace, and those that DVC's experiments changed.

    Rows of the workspace say what differs from ``baseline``, by default the first experiment of its params.yaml; those
    of DVC's experiments say what differs from ``head``, the commit that they were started from. An experiment that ran
    in one of them as it did for ``head`` is no row of it.

    Raises ConfigError if ``baseline`` is no experiment.
    """
    rows, notes = [], []
    if baseline is None:
        baseline = next(iter(workspace.experiments), "")
    elif baseline not in workspace.experiments:
        entry("experiments", workspace.experiments, baseline)
    for name in workspace.experiments:
        changes = differences(workspace.params, head.params, name) if name in head.experiments else ""
        if name not in workspace.metrics:
            notes.append(f"not measured: {name}, `dvc repro evaluate@{name}`")
        elif changes and workspace.ran(name) == head.ran(name):
            notes.append(f"not run as params.yaml says now: {name} ({changes}), `dvc repro evaluate@{name}`")
        else:
            against = "" if name == baseline else differences_within(workspace.params, name, baseline)
            rows.append(Row(workspace.name, name, workspace.metrics[name], against))
    for state in finished:
        for name in state.experiments:
            changes = _changes(state, head, name)
            if name not in state.metrics:
                notes.append(f"not measured in {state.name}: {name} ({changes or ELSEWHERE})")
            elif state.ran(name) != head.ran(name):
                rows.append(Row(state.name, name, state.metrics[name], changes or ELSEWHERE))
            elif changes:
                notes.append(f"not run in {state.name}: {name} ({changes})")
    return Leaderboard(sorted(rows, key=lambda row: -row.figures["roc_auc"]), notes)


def _changes(state: State, head: State, name: str) -> str:
    """Return what an experiment's settings differ in from ``head``; a new one is compared with the first of there."""
    if name in head.experiments:
        found = differences(state.params, head.params, name)
        same = all(_at(state.params, part) == _at(head.params, part) for part in _used(state.params, name))
        return found or ("" if same else REWORDED)
    first = next(iter(head.experiments), None)
    return "new" + (f": {found}" if first and (found := differences_within(state.params, name, first)) else "")


def differences(now: Settings, before: Settings, name: str) -> str:
    """Return all settings that an experiment's result depends on and that differ between two params.yaml.

    They have their full keys, as ``dvc exp run --set-param`` takes them. Other experiments, and the recipes and
    representations of these, do not count.

    >>> before = {"experiments": {"mine": {"recipe": "fast"}}, "recipes": {"fast": {"epochs": 8, "batch": 16}}}
    >>> now = {"experiments": {"mine": {"recipe": "fast", "batch": 4}}, "recipes": {"fast": {"epochs": 9, "batch": 16}}}
    >>> differences(now, before, "mine")
    'experiments.mine.batch 4, not 16; recipes.fast.epochs 9, not 8'
    """
    keys = {key: None for part in _used(now, name) for side in (now, before) for key in _leaves(_at(side, part), part)}
    return _told((".".join(key), _value(now, key), _value(before, key)) for key in keys)


def differences_within(params: Settings, name: str, baseline: str) -> str:
    """Return in what the entry of an experiment differs from that of another in the same params.yaml.

    >>> params = {"experiments": {"a": {"model": "crnn", "network": {"units": 32}}, "b": {"model": "linear"}}}
    >>> differences_within(params, "b", "a")
    'model linear, not crnn'
    """
    here, there = (("experiments", which) for which in (name, baseline))
    keys = {key[2:]: None for part in (here, there) for key in _leaves(_at(params, part), part)}
    values = ((key, _value(params, here + key), _value(params, there + key)) for key in keys)
    other = _at(params, (*here, "model")) != _at(params, (*there, "model"))

    def says_something(key: Key, value: Any, against: Any) -> bool:
        """Return False for a recipe's value if one side has no recipe, and for an option of another network alone."""
        if key[0] in Recipe.model_fields:
            return UNSET not in (value, against)
        return not (other and key[0] == "network" and value == UNSET)

    return _told((".".join(key), *sides) for key, *sides in values if says_something(key, *sides))


def _used(params: Settings, name: str) -> Iterator[Key]:
    """Yield where the settings stand that an experiment's result depends on."""
    experiment = _at(params, ("experiments", name))
    yield "experiments", name
    for key, section in (
        ("recipe", "recipes"),
        ("representation", "representations"),
        ("representation", "encoders"),
        ("labels", "labels"),
    ):
        if key in experiment:
            yield section, str(experiment[key])
    for section in ("representations", "encoders"):
        if rate := _at(params, (section, str(experiment.get("representation")), "rate")):
            yield "waveforms", str(rate)
    yield ("corpus",)
    yield ("evaluation",)


def _leaves(value: Any, above: Key) -> Iterator[Key]:
    """Yield the keys of all values below mappings; a list is one value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*above, str(key)))
    elif value is not None:
        yield above


def _at(params: Settings, key: Key) -> Any:
    """Return the value at a key, or None; a sampling rate is a key of either type in YAML."""
    found: Any = params
    for part in key:
        found = {str(name): value for name, value in found.items()}.get(part) if isinstance(found, Mapping) else None
    return found


def _value(params: Settings, key: Key) -> Any:
    """Return what is in force at a key: an experiment that does not override a value of its recipe has the recipe's."""
    found = _at(params, key)
    if found is None and key[0] == "experiments" and len(key) == 3:
        recipe = _at(params, (*key[:2], "recipe"))
        found = _at(params, ("recipes", str(recipe), key[2])) if key[2] in Recipe.model_fields else None
    if found is None and key[0] in ("experiments", "recipes") and len(key) == 3:
        if key[2] in ("recipe", "system"):
            return "none"
        fields = {**Recipe.model_fields, **(ExperimentConfig.model_fields if key[0] == "experiments" else {})}
        found = fields[key[2]].get_default() if key[2] in fields and not fields[key[2]].is_required() else None
    return UNSET if found is None else found


def _told(values: Iterable[tuple[str, Any, Any]]) -> str:
    """Return ``key value, not other`` for the values that differ."""
    shown = ((key, _shown(here), _shown(there)) for key, here, there in values)
    return "; ".join(f"{key} {here}, not {there}" for key, here, there in shown if here != there)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _plain(rows: Sequence[Sequence[str]]) -> str:
    """Return the table as aligned columns."""
    lines = [COLUMNS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in padded)
