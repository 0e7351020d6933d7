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
from earmark.config import Config, CrossValidationConfig, ExperimentConfig, RepresentationConfig, WaveformConfig
from earmark.corpus.labels import read_labels
from earmark.corpus.manifest import read_manifest
from earmark.decode.corpus import decode_corpus
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.experiment import evaluate_model
from earmark.features import dataset, extract, standardize
from earmark.features.dataset import Split
from earmark.features.standardize import Standardizer
from earmark.files import read_json, write_csv, write_json
from earmark.models.saved import FILE
from earmark.papers import budget
from earmark.papers.reproduction import corpus_name
from earmark.storage import provenance, shards
from earmark.systems import published
from earmark.systems.published import Input, System
from earmark.training import crossvalidation
from earmark.training.checkpoints import forget
from earmark.training.fit import fit, makers, saved_model


def chosen(names: Sequence[str]) -> list[System]:
    """The systems of those names; EarmarkError, before any is trained, where one of them is unknown."""
    try:
        return [published.get(name) for name in names]
    except ValueError as error:
        raise EarmarkError(str(error)) from None


@dataclass(frozen=True)
class Row:
    """A result of `earmark papers`: its file, its mark, and what it is computed from.

    stem: the system, with ``@`` and the key of a cross-validation, ``entry``, where it learns exclusive classes.
    features: a folder of shards; standardizer: what standardises them.
    """

    stem: str
    path: Path
    mark: str
    system: System
    features: Path
    standardizer: Path
    entry: CrossValidationConfig | None = None

    def done(self) -> bool:
        """Whether the result is there and still that of the same settings, code and data."""
        return self.path.is_file() and read_json(self.path).get("fingerprint") == self.mark


@dataclass(frozen=True)
class Papers:
    """What is trained: on which corpus, by which rule, for how many minutes a system, and where everything lies."""

    config: Config
    corpus: str
    preset: Literal["published", "demo"]
    minutes: float | None
    data: Path
    metrics: Path

    @classmethod
    def open(
        cls, config: Config, preset: Literal["published", "demo"], minutes: float | None, data: Path, metrics: Path
    ) -> Papers:
        """Name the corpus as the report does; EarmarkError where no labels have been made yet."""
        for needed in (data / "labels/labels.csv", metrics.parent / "labels.json"):
            if not needed.is_file():
                raise EarmarkError(f"{needed} does not exist; run `dvc repro labels decode` first")
        counts = read_json(metrics.parent / "labels.json")
        name = corpus_name(config.corpus.kind, config.corpus.name, counts)
        return cls(config, name, preset, minutes, data, metrics)

    @property
    def labels(self) -> Path:
        """What the labels stage wrote."""
        return self.data / "labels/labels.csv"

    def run(self, name: str) -> str:
        """Train one system, unless that is done, and return a line about it.

        One of exclusive classes is cross-validated on each of the ``crossvalidations`` of params.yaml that names it.
        """
        rows = self.rows(name)
        lines = [self._train(row) if row.entry is None else self._classify(row, row.entry) for row in rows]
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
        features, standardizer = self._features(system.representation)
        stages = ("train", "evaluate") if entry is None else ("crossvalidate",)
        mark = provenance.fingerprint(
            system=repr(system),
            preset=self.preset,
            minutes=self.minutes,
            evaluation=self.config.evaluation.model_dump(mode="json"),
            classes=None if entry is None else entry.model_dump(mode="json"),
            code=[provenance.digest(f"{stage}-{system.family}") for stage in stages],
            features={path.name: shards.fingerprint_of(path) for path in shards.shard_files(features)},
            labels=hashlib.sha256(self.labels.read_bytes()).hexdigest(),  # the split stands there, too
        )
        path = self.metrics / self.corpus.replace(" ", "-") / f"{stem}.json"
        return Row(stem, path, mark, system, features, standardizer, entry)

    def _train(self, row: Row) -> str:
        if row.done():
            return f"{row.stem}: done before, {row.path}"
        watch = progress.Stopwatch()
        system = row.system
        train, valid, test = self._splits(row)
        experiment = ExperimentConfig(representation="", model=system.family, preset=self.preset)

        def find() -> dict[str, int]:
            return budget.fitting(system, experiment, train, valid, self.minutes)

        fitting = {} if system.family == "linear" else self._fitting(row, find)
        checkpoints = self._checkpoints(row)
        changed = experiment.model_copy(update=fitting)
        fitted = fit(system.name, changed, train, valid, checkpoints)
        heard = dataset.origin(row.features)
        saved = saved_model(system.name, fitted, valid, Standardizer.load(row.standardizer), heard)
        batch = _batch(fitting)
        test, scores, result = evaluate_model(saved, test, self.config.evaluation, batch.get("batch"))
        saved.save(self.data / "papers/models" / system.name / FILE)
        scoring.write_scores(self.data / "papers/scores" / f"{system.name}.csv", test, scores)
        found = {"test": result.summary | {"missing_clips": test.missing}, "training": fitted.summary}
        write_json(row.path, self._about(row) | batch | found)
        forget(checkpoints)
        auc = result.summary["roc_auc"]
        told = f"ROC-AUC {auc['macro']:.4f} ({auc['low']:.4f} to {auc['high']:.4f})"
        return _told(row, watch, told, fitted.summary["epochs"])

    def _classify(self, row: Row, entry: CrossValidationConfig) -> str:
        """Cross-validate a system on exclusive classes, all folds together within the budget."""
        if row.done():
            return f"{row.stem}: done before, {row.path}"
        watch = progress.Stopwatch()
        entry = entry.model_copy(update={"preset": self.preset})

        def find() -> dict[str, int]:
            train, valid, _ = self._splits(row)
            each = self.minutes and self.minutes / entry.folds
            return budget.fitting(row.system, entry.experiment(), train, valid, each)

        fitting = self._fitting(row, find)
        checkpoints = self._checkpoints(row)
        entry = entry.model_copy(update=fitting)
        outcome = crossvalidation.run(row.system.name, entry, row.features, self.labels, checkpoints)
        found = outcome.summary
        outcome.save(self.data / "papers/models" / row.stem)
        write_csv(self.data / "papers/scores" / f"{row.stem}.csv", crossvalidation.COLUMNS, outcome.rows)
        write_json(row.path, self._about(row) | _batch(fitting) | found)
        forget(checkpoints)
        accuracy = found["accuracy"]
        told = (
            f"accuracy {accuracy['normalized']:.4f} (folds {accuracy['lowest_fold']:.4f} to "
            f"{accuracy['highest_fold']:.4f})"
        )
        return _told(row, watch, told, found["training"]["epochs"])

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

    def _about(self, row: Row) -> dict[str, Any]:
        """What every result says of itself."""
        return {
            "corpus": self.corpus, "rule": self.preset, "budget_minutes": self.minutes, "fingerprint": row.mark,
        }  # fmt: skip

    def _splits(self, row: Row) -> tuple[Split, Split, Split]:
        """What a system trains on, chooses by and is tested on."""
        train, valid, test = (
            dataset.load(row.features, self.labels, row.standardizer, part) for part in ("train", "valid", "test")
        )
        return train, valid, test

    def _features(self, heard: Input) -> tuple[Path, Path]:
        """Decode, compute and standardise a system's representation, as far as that is not done yet."""
        settings = heard.settings()
        if heard.kind == "scattering":
            settings["normalization"] = "log"
        name = f"{heard.kind}-{provenance.fingerprint(**settings)[:8]}"
        features, standardizer = self.data / "papers/features" / name, self.data / "papers/standardize" / f"{name}.json"
        extract.extract(self._waveforms(heard), features, RepresentationConfig.model_validate(settings))
        clips, _ = read_labels(self.labels)
        standardizer.parent.mkdir(parents=True, exist_ok=True)
        standardize.fit(features, {c.clip_id for c in clips if c.split == "train"}).save(standardizer)
        return features, standardizer

    def _waveforms(self, heard: Input) -> Waveforms:
        """The waveforms of the pipeline where they are long enough, or else those of this command."""
        clips, audio = read_manifest(self.data / "corpus/manifest.csv"), self.config.corpus.audio
        configured = self.config.waveforms.get(heard.rate)
        if configured is not None and configured.samples >= heard.n_samples:
            return Waveforms(self.data / "waveforms" / str(heard.rate), clips, audio)
        longest = max(
            s.representation.n_samples for s in published.SYSTEMS.values() if s.representation.rate == heard.rate
        )
        folder = self.data / "papers/waveforms" / str(heard.rate)
        decode_corpus(clips, audio, heard.rate, WaveformConfig(samples=longest), folder)
        return Waveforms(folder, clips, audio)


def _batch(fitting: Mapping[str, int]) -> dict[str, Any]:
    """The batch, where it is not the rule's."""
    return {key: value for key, value in fitting.items() if key == "batch"}


def _told(row: Row, watch: progress.Stopwatch, what: str, epochs: int) -> str:
    """The line about a result that was computed now, which is logged with the time that it took."""
    seconds = watch.seconds()
    device = makers()["device"]
    progress.log("papers", row.stem, seconds=round(seconds, 3), epochs=epochs, device=device)
    return f"{row.stem}: {what}, {epochs} epochs in {seconds:.0f} s"
