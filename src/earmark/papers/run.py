"""Train published systems on the configured corpus, each within a budget of time.

A system needs no line in params.yaml. It brings its own representation, which is computed if it is not there yet, and
is trained in the batches of its recipe, or in smaller ones if memory does not suffice. A finished system is not trained
again unless its settings, code or data have changed. A stopped run goes on where it was, with the batch and the epochs
that were found for it at first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from earmark import progress
from earmark.config import Config, entry
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.experiment import evaluate_models
from earmark.experiments import CrossValidationConfig, Recipe
from earmark.features import dataset
from earmark.features.standardize import Standardizer
from earmark.files import read_json, write_csv, write_json
from earmark.models import networks
from earmark.models.saved import FILE
from earmark.papers import budget
from earmark.papers.inputs import Prepared, prepare
from earmark.papers.reproduction import corpus_name, label_rule
from earmark.storage import provenance, shards
from earmark.systems import published
from earmark.systems.published import System
from earmark.training import crossvalidation
from earmark.training.checkpoints import forget
from earmark.training.fit import fit, saved_model
from earmark.training.gradient import makers
from earmark.training.plan import Plan

Rule = Literal["published", "quick"]
SEED = 1


def chosen(names: Sequence[str]) -> list[System]:
    """Return the systems of those names; raise EarmarkError if one is unknown, before any is trained."""
    try:
        return [published.get(name) for name in names]
    except ValueError as error:
        raise EarmarkError(str(error)) from None


@dataclass(frozen=True)
class Row:
    """A result of `earmark papers`: its file, its mark (a hash of all that it depends on), the system, and its input.

    stem: the system's name. If the system learns exclusive classes, ``@`` and the key of the cross-validation follow,
    whose settings are ``entry``.
    """

    stem: str
    path: Path
    mark: str
    system: System
    heard: Prepared
    entry: CrossValidationConfig | None = None

    def done(self) -> bool:
        """Tell whether the result is there and was made from the same settings, code and data."""
        return self.path.is_file() and read_json(self.path).get("fingerprint") == self.mark


@dataclass(frozen=True)
class Papers:
    """The command `earmark papers`: on which corpus, by which rule, how long per system, and where files lie.

    labels: which of the sets of labels in params.yaml. rule: the recipes of the papers, or the quick ones. minutes: the
    budget of each system, None for no limit. data: the folder that the pipeline fills. metrics: the folder of the
    results.
    """

    config: Config
    corpus: str
    labels: str
    rule: Rule
    minutes: float | None
    data: Path
    metrics: Path

    @classmethod
    def open(
        cls, config: Config, labels: str | None, rule: Rule, minutes: float | None, data: Path, metrics: Path
    ) -> Papers:
        """Return the command for a corpus, named as in the report; raise EarmarkError if it has no labels yet.

        labels: by default the first entry of ``labels`` in params.yaml.
        """
        labels = labels or next(iter(config.labels))
        entry("labels", config.labels, labels)
        for needed in (data / "labels" / labels / "labels.csv", metrics.parent / "labels" / f"{labels}.json"):
            if not needed.is_file():
                raise EarmarkError(f"{needed} does not exist; run `dvc repro labels decode` first")
        counts = read_json(metrics.parent / "labels" / f"{labels}.json")
        name = corpus_name(config.corpus.kind, config.corpus.name, counts)
        return cls(config, name, labels, rule, minutes, data, metrics)

    def run(self, name: str) -> str:
        """Train one system, unless that is done, and return a line about each of its results.

        A system of exclusive classes is cross-validated by each entry of ``crossvalidations`` that names it.
        """
        lines = [f"{row.stem}: {self._update(row)}" for row in self.rows(name)]
        return "\n".join(lines) or f"{name}: left out, params.yaml has no crossvalidations of it"

    def rows(self, name: str) -> list[Row]:
        """Return the results that a system has, or will have, on this corpus, each with its mark.

        No result is computed for that, but the features are, if they are not there yet: the mark depends on them.
        """
        system = published.get(name)
        if system.task == "tags":
            return [self._row(system, name, None)]
        entries = {key: e for key, e in self.config.crossvalidations.items() if (e.system or key) == name}
        return [self._row(system, f"{name}@{key}", entry) for key, entry in entries.items()]

    def _row(self, system: System, stem: str, entry: CrossValidationConfig | None) -> Row:
        """Return a result with its mark: a hash of the code, the settings, the features and the labels."""
        labels = self.data / "labels" / self.labels / "labels.csv"
        heard = prepare(system.representation.config(), self.config, self.data, labels)
        stages = ("train", "evaluate") if entry is None else ("crossvalidate",)
        mark = provenance.fingerprint(
            network={"family": system.family, "options": dict(system.options)},
            recipe=None if (recipe := self._recipe(system)) is None else recipe.model_dump(mode="json"),
            minutes=self.minutes,
            evaluation=self.config.evaluation.model_dump(mode="json"),
            classes=None if entry is None else entry.model_dump(mode="json"),
            code=[provenance.digest(f"{stage}-{system.family}") for stage in stages],
            features={path.name: shards.fingerprint_of(path) for path in shards.shard_files(heard.features)},
            labels=hashlib.sha256(labels.read_bytes()).hexdigest(),  # the split stands there, too
        )
        path = self._folder / f"{stem}.json"
        return Row(stem, path, mark, system, heard, entry)

    @property
    def _folder(self) -> Path:
        return self.metrics / self.corpus.replace(" ", "-")

    def results(self, name: str) -> list[Path]:
        """Return the files of the results that a system has, whatever they were made from."""
        return sorted([*self._folder.glob(f"{name}.json"), *self._folder.glob(f"{name}@*.json")])

    def _recipe(self, system: System) -> Recipe | None:
        return system.recipe_of(published=self.rule == "published")

    def _plan(self, system: System, changes: Mapping[str, int]) -> Plan:
        """Return how a system is trained, with a batch or epochs that fit into memory and time."""
        recipe = self._recipe(system)
        options = networks.resolve(system.family, system.options, "systems", system.name)
        changed = None if recipe is None else recipe.model_copy(update=dict(changes))
        return Plan(f"systems.{system.name}", system.family, options, changed)

    def _update(self, row: Row) -> str:
        """Compute a result unless it is done, log the time that it took, and return what it is."""
        if row.done():
            return f"done before, {row.path}"
        watch = progress.Stopwatch()
        told, epochs = self._train(row) if row.entry is None else self._classify(row, row.entry)
        forget(self._checkpoints(row))
        seconds = watch.seconds()
        progress.log("papers", row.stem, seconds=round(seconds, 3), epochs=epochs, device=makers()["device"])
        return f"{told}, {epochs} epochs in {seconds:.0f} s"

    def _train(self, row: Row) -> tuple[str, int]:
        """Train and test a system of tags; return what it reaches, and its epochs."""
        system = row.system
        train, valid, test = row.heard.splits()
        plan = self._plan(system, {})
        find = partial(budget.fitting, system.name, plan, SEED, train, valid, self.minutes)
        fitting = self._fitting(row, find)
        fitted = fit(self._plan(system, fitting), SEED, train, valid, self._checkpoints(row))
        heard = dataset.origin(row.heard.features)
        saved = saved_model(system.name, fitted, valid, Standardizer.load(row.heard.standardizer), heard)
        test, scores, result = evaluate_models([saved], test, self.config.evaluation, fitting.get("batch"))
        saved.save(self.data / "papers/models" / system.name / FILE)
        scoring.write_scores(self.data / "papers/scores" / f"{system.name}.csv", test, scores, [SEED])
        measured = result.summary | {"missing_clips": test.missing}
        self._write(row, fitting, {"test": measured, "training": fitted.summary})
        auc = result.summary["roc_auc"]
        return f"ROC-AUC {auc['macro']:.4f} ({auc['low']:.4f} to {auc['high']:.4f})", len(fitted.curves)

    def _classify(self, row: Row, entry: CrossValidationConfig) -> tuple[str, int]:
        """Cross-validate a system of exclusive classes, all folds within the budget; return the same as ``_train``."""
        system = row.system

        def find() -> dict[str, int]:
            train, valid, _ = row.heard.splits()
            each = self.minutes and self.minutes / entry.folds
            return budget.fitting(system.name, self._plan(system, {}), entry.seeds[0], train, valid, each)

        fitting = self._fitting(row, find)
        plan = self._plan(system, fitting)
        outcome = crossvalidation.run(
            system.name, entry, plan, row.heard.features, row.heard.labels, self._checkpoints(row)
        )
        outcome.save(self.data / "papers/models" / row.stem)
        write_csv(self.data / "papers/scores" / f"{row.stem}.csv", crossvalidation.COLUMNS, outcome.rows)
        self._write(row, fitting, outcome.summary)
        accuracy = outcome.summary["accuracy"]
        folds = f"folds {accuracy['lowest_fold']:.4f} to {accuracy['highest_fold']:.4f}"
        return f"accuracy {accuracy['normalized']:.4f} ({folds})", outcome.summary["training"]["epochs"]

    def _write(self, row: Row, fitting: Mapping[str, int], found: Mapping[str, Any]) -> None:
        """Write a result and how it was trained; the batch is told only if it is not that of the recipe."""
        about = {
            "corpus": self.corpus,
            "labels": label_rule(self.config, self.labels),
            "rule": self.rule,
            "budget_minutes": self.minutes,
            "fingerprint": row.mark,
        }
        batch = {"batch": fitting["batch"]} if "batch" in fitting else {}
        write_json(row.path, {**about, **batch, **found})

    def _checkpoints(self, row: Row) -> Path:
        return self.data / "papers/checkpoints" / row.stem

    def _fitting(self, row: Row, find: Callable[[], dict[str, int]]) -> dict[str, int]:
        """Return what ``find`` returns, or what it returned before the same run was stopped.

        Time is never the same twice, and another number of epochs would make the checkpoints of the run useless. So the
        first answer stands beside them, and is deleted with them.
        """
        path = self._checkpoints(row) / "budget.json"
        key = provenance.fingerprint(mark=row.mark, makers=makers())
        try:
            before = read_json(path)
            if before["key"] == key:
                return {str(name): int(value) for name, value in before["found"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass  # there is none, or it cannot be read
        found = find()
        write_json(path, {"key": key, "found": found})
        return found
