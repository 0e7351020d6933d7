"""Train every published system on the configured corpus, one after the other, each within a budget of time.

Unlike the experiments of params.yaml this asks for no line per system: each brings its representation, which is decoded
and computed where it is not there yet, and is trained in the rule's batches or, where memory does not suffice, in
smaller ones. A system that is done is not trained again unless its settings, code or data have changed, so that a
stopped run goes on where it was, with the batch and the epochs that were found for it then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from earmark import progress
from earmark.config import Config, CrossValidationConfig, ExperimentConfig
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.experiment import evaluate_model
from earmark.features import dataset
from earmark.features.standardize import Standardizer
from earmark.files import read_json, write_csv, write_json
from earmark.models.saved import FILE
from earmark.papers import budget
from earmark.papers.inputs import Prepared, prepare
from earmark.papers.reproduction import corpus_name
from earmark.storage import provenance, shards
from earmark.systems import published
from earmark.systems.published import System
from earmark.training import crossvalidation
from earmark.training.checkpoints import forget
from earmark.training.fit import fit, saved_model
from earmark.training.gradient import makers

Preset = Literal["published", "demo"]


def chosen(names: Sequence[str]) -> list[System]:
    """The systems of those names; EarmarkError, before any is trained, where one of them is unknown."""
    try:
        return [published.get(name) for name in names]
    except ValueError as error:
        raise EarmarkError(str(error)) from None


@dataclass(frozen=True)
class Row:
    """A result of `earmark papers`: its file, its mark, the system, and what that hears.

    stem: the system, with ``@`` and the key of a cross-validation, ``entry``, where it learns exclusive classes.
    """

    stem: str
    path: Path
    mark: str
    system: System
    heard: Prepared
    entry: CrossValidationConfig | None = None

    def done(self) -> bool:
        """Whether the result is there and still that of the same settings, code and data."""
        return self.path.is_file() and read_json(self.path).get("fingerprint") == self.mark


@dataclass(frozen=True)
class Papers:
    """What is trained: on which corpus, by which preset, for how many minutes a system, and where everything lies."""

    config: Config
    corpus: str
    preset: Preset
    minutes: float | None
    data: Path
    metrics: Path

    @classmethod
    def open(cls, config: Config, preset: Preset, minutes: float | None, data: Path, metrics: Path) -> Papers:
        """Name the corpus as the report does; EarmarkError where no labels have been made yet."""
        for needed in (data / "labels/labels.csv", metrics.parent / "labels.json"):
            if not needed.is_file():
                raise EarmarkError(f"{needed} does not exist; run `dvc repro labels decode` first")
        counts = read_json(metrics.parent / "labels.json")
        name = corpus_name(config.corpus.kind, config.corpus.name, counts)
        return cls(config, name, preset, minutes, data, metrics)

    def run(self, name: str) -> str:
        """Train one system, unless that is done, and return a line about it.

        One of exclusive classes is cross-validated on each of the ``crossvalidations`` of params.yaml that names it.
        """
        lines = [f"{row.stem}: {self._update(row)}" for row in self.rows(name)]
        return "\n".join(lines) or f"{name}: left out, params.yaml has no crossvalidations of it"

    def rows(self, name: str) -> list[Row]:
        """The results that a system has on this corpus, each with its mark; none of them is computed for that.

        Its features are, where they are not there yet: a mark is of what they were made of.
        """
        system = published.get(name)
        if system.task == "tags":
            return [self._row(system, name, None)]
        entries = {key: e for key, e in self.config.crossvalidations.items() if (e.system or key) == name}
        return [self._row(system, f"{name}@{key}", entry) for key, entry in entries.items()]

    def _row(self, system: System, stem: str, entry: CrossValidationConfig | None) -> Row:
        """Find the mark of a result: what learns and measures, by which settings, on which features and labels."""
        labels = self.data / "labels/labels.csv"
        heard = prepare(system.representation.config(), self.config, self.data, labels)
        stages = ("train", "evaluate") if entry is None else ("crossvalidate",)
        mark = provenance.fingerprint(
            system=repr(system),
            preset=self.preset,
            minutes=self.minutes,
            evaluation=self.config.evaluation.model_dump(mode="json"),
            classes=None if entry is None else entry.model_dump(mode="json"),
            code=[provenance.digest(f"{stage}-{system.family}") for stage in stages],
            features={path.name: shards.fingerprint_of(path) for path in shards.shard_files(heard.features)},
            labels=hashlib.sha256(labels.read_bytes()).hexdigest(),  # the split stands there, too
        )
        path = self.metrics / self.corpus.replace(" ", "-") / f"{stem}.json"
        return Row(stem, path, mark, system, heard, entry)

    def _update(self, row: Row) -> str:
        """Compute a result unless it is done, say what it is, and log the time that it took."""
        if row.done():
            return f"done before, {row.path}"
        watch = progress.Stopwatch()
        told, epochs = self._train(row) if row.entry is None else self._classify(row, row.entry)
        forget(self._checkpoints(row))
        seconds = watch.seconds()
        progress.log("papers", row.stem, seconds=round(seconds, 3), epochs=epochs, device=makers()["device"])
        return f"{told}, {epochs} epochs in {seconds:.0f} s"

    def _train(self, row: Row) -> tuple[str, int]:
        """Train and test a system of tags; return what it reached, and its epochs."""
        system = row.system
        train, valid, test = row.heard.splits()
        experiment = ExperimentConfig(representation="", model=system.family, preset=self.preset)
        fitting = self._fitting(row, lambda: budget.fitting(system, experiment, train, valid, self.minutes))
        changed = experiment.model_copy(update=fitting)
        fitted = fit(system.name, changed, train, valid, self._checkpoints(row))
        heard = dataset.origin(row.heard.features)
        saved = saved_model(system.name, fitted, valid, Standardizer.load(row.heard.standardizer), heard)
        test, scores, result = evaluate_model(saved, test, self.config.evaluation, fitting.get("batch"))
        saved.save(self.data / "papers/models" / system.name / FILE)
        scoring.write_scores(self.data / "papers/scores" / f"{system.name}.csv", test, scores)
        measured = result.summary | {"missing_clips": test.missing}
        self._write(row, fitting, {"test": measured, "training": fitted.summary})
        auc = result.summary["roc_auc"]
        return f"ROC-AUC {auc['macro']:.4f} ({auc['low']:.4f} to {auc['high']:.4f})", len(fitted.curves)

    def _classify(self, row: Row, entry: CrossValidationConfig) -> tuple[str, int]:
        """Cross-validate a system on exclusive classes, all folds together within the budget."""
        entry = entry.model_copy(update={"preset": self.preset})

        def find() -> dict[str, int]:
            train, valid, _ = row.heard.splits()
            each = self.minutes and self.minutes / entry.folds
            return budget.fitting(row.system, entry.experiment(), train, valid, each)

        fitting = self._fitting(row, find)
        changed = entry.model_copy(update=fitting)
        outcome = crossvalidation.run(
            row.system.name, changed, row.heard.features, row.heard.labels, self._checkpoints(row)
        )
        outcome.save(self.data / "papers/models" / row.stem)
        write_csv(self.data / "papers/scores" / f"{row.stem}.csv", crossvalidation.COLUMNS, outcome.rows)
        self._write(row, fitting, outcome.summary)
        accuracy = outcome.summary["accuracy"]
        folds = f"folds {accuracy['lowest_fold']:.4f} to {accuracy['highest_fold']:.4f}"
        return f"accuracy {accuracy['normalized']:.4f} ({folds})", outcome.summary["training"]["epochs"]

    def _write(self, row: Row, fitting: Mapping[str, int], found: Mapping[str, Any]) -> None:
        """Write a result, with what it was trained by; the batch only if it is not the recipe's."""
        about = {"corpus": self.corpus, "rule": self.preset, "budget_minutes": self.minutes, "fingerprint": row.mark}
        batch = {"batch": fitting["batch"]} if "batch" in fitting else {}
        write_json(row.path, {**about, **batch, **found})

    def _checkpoints(self, row: Row) -> Path:
        return self.data / "papers/checkpoints" / row.stem

    def _fitting(self, row: Row, find: Callable[[], dict[str, int]]) -> dict[str, int]:
        """What a trial found, or what it found for the same run before that was stopped: time is never the same twice.

        It stands beside the run's checkpoints, which another number of epochs would make useless, and goes with them.
        """
        path = self._checkpoints(row) / "budget.json"
        key = provenance.fingerprint(mark=row.mark, makers=makers())
        try:
            before = read_json(path)
            if before["key"] == key:
                return {str(name): int(value) for name, value in before["found"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass  # none, or no longer readable
        found = find()
        write_json(path, {"key": key, "found": found})
        return found
