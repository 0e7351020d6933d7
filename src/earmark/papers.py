"""Train every published system on the configured corpus, one after the other, each within a budget of time.

Unlike the experiments of params.yaml this asks for no line per system: each brings its representation, which is decoded
and computed where it is not there yet, and is trained in the rule's batches or, where memory does not suffice, in
smaller ones. A system that is done is not trained again unless its settings, code or data have changed, so that a
stopped run goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from earmark import (
    crossvalidation,
    dataset,
    evaluation,
    extract,
    provenance,
    scoring,
    standardize,
    systems,
    training,
    trial,
)
from earmark.config import Config, CrossValidationConfig, ExperimentConfig, WaveformConfig
from earmark.dataset import Split
from earmark.decode import decode_corpus
from earmark.errors import EarmarkError
from earmark.labels import read_labels
from earmark.manifest import read_json, read_manifest, write_csv, write_json
from earmark.reproduction import corpus_name
from earmark.systems import Input, System
from earmark.waveforms import Waveforms

LEARNING = ("training", "tagger", "distributed", "schedules", "scoring", "dataset", "evaluation")


def chosen(names: Sequence[str]) -> list[System]:
    """The systems of those names; EarmarkError, before any is trained, where one of them is unknown."""
    try:
        return [systems.get(name) for name in names]
    except ValueError as error:
        raise EarmarkError(str(error)) from None


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
        system = systems.get(name)
        if system.task == "tags":
            return self._train(system)
        entries = {key: e for key, e in self.config.crossvalidations.items() if (e.system or key) == name}
        lines = [self._classify(system, *entry) for entry in entries.items()]
        return "\n".join(lines) or f"{name}: left out, params.yaml has no crossvalidations of it"

    def _train(self, system: System) -> str:
        path = self._result(system.name)
        _, train, valid, test = self._splits(system)
        mark = self._mark(system, train, valid, test)
        if _done(path, mark):
            return f"{system.name}: done before, {path}"
        experiment = ExperimentConfig(representation="", model=system.family, preset=self.preset)
        fitting = {} if system.family == "linear" else trial.fitting(system, experiment, train, valid, self.minutes)
        experiment = experiment.model_copy(update=fitting)
        checkpoints = self.data / "papers/checkpoints" / system.name
        fitted = training.fit(system.name, experiment, train, valid, checkpoints)
        heard = fitted.summary["excerpt_frames"], fitted.summary["excerpts"]
        batch = _batch(fitting)
        fitted.model.eval()
        (valid, valid_scores), (test, scores) = (
            part.by_clip(scoring.score(fitted.model, part.features, *heard, **batch)) for part in (valid, test)
        )
        thresholds = evaluation.equal_error_thresholds(valid_scores, valid.targets.numpy(), valid.tags)
        drawn = self.config.evaluation
        result = evaluation.evaluate(
            scores, test.targets.numpy(), test.songs(), test.tags, drawn.resamples, drawn.seed, thresholds
        )
        training.save_state(fitted.model, self.data / "papers/models" / system.name / "state.pt")
        scoring.write_scores(self.data / "papers/scores" / f"{system.name}.csv", test, scores)
        found = {"test": result.summary | {"missing_clips": test.missing}, "training": fitted.summary}
        write_json(path, self._about(mark) | batch | found)
        epochs, seconds = fitted.summary["epochs"], fitted.summary["seconds"]
        auc = result.summary["roc_auc"]
        return (
            f"{system.name}: ROC-AUC {auc['macro']:.4f} ({auc['low']:.4f} to {auc['high']:.4f}), "
            f"{epochs} epochs in {seconds:.0f} s"
        )

    def _classify(self, system: System, key: str, entry: CrossValidationConfig) -> str:
        """Cross-validate a system on exclusive classes, all folds together within the budget."""
        path = self._result(f"{system.name}@{key}")
        features, train, valid, test = self._splits(system)
        judging = _digest(provenance.PACKAGE / "crossvalidation.py")
        mark = self._mark(system, train, valid, test, classes=entry.model_dump(mode="json"), judging=judging)
        if _done(path, mark):
            return f"{path.stem}: done before, {path}"
        entry = entry.model_copy(update={"preset": self.preset})
        each = self.minutes and self.minutes / entry.folds
        fitting = trial.fitting(system, entry.experiment(), train, valid, each)
        entry = entry.model_copy(update=fitting)
        outcome = crossvalidation.run(system.name, entry, features, self.labels)
        found = outcome.summary
        write_csv(self.data / "papers/scores" / f"{path.stem}.csv", crossvalidation.COLUMNS, outcome.rows)
        write_json(path, self._about(mark) | _batch(fitting) | found)
        accuracy, took = found["accuracy"], found["training"]
        return (
            f"{path.stem}: accuracy {accuracy['normalized']:.4f} (folds {accuracy['lowest_fold']:.4f} to "
            f"{accuracy['highest_fold']:.4f}), {took['epochs']} epochs in {took['seconds']:.0f} s"
        )

    def _result(self, stem: str) -> Path:
        return self.metrics / self.corpus.replace(" ", "-") / f"{stem}.json"

    def _about(self, mark: str) -> dict[str, Any]:
        """What every result says of itself."""
        return {
            "corpus": self.corpus, "rule": self.preset, "budget_minutes": self.minutes, "fingerprint": mark,
        }  # fmt: skip

    def _splits(self, system: System) -> tuple[Path, Split, Split, Split]:
        """The folder of a system's features, and what it trains on, chooses by and is tested on."""
        features, moments = self._features(system.representation)
        train, valid, test = (dataset.load(features, self.labels, moments, part) for part in ("train", "valid", "test"))
        return features, train, valid, test

    def _mark(self, system: System, *splits: Split, **more: object) -> str:
        """What a result depends on: of the code, what learns and measures; what reads is judged by what was read."""
        learning = [provenance.PACKAGE / f"{name}.py" for name in LEARNING]
        model = provenance.closure([provenance.PACKAGE / "models" / f"{system.family}.py"])
        return provenance.fingerprint(
            system=repr(system),
            preset=self.preset,
            minutes=self.minutes,
            evaluation=self.config.evaluation.model_dump(mode="json"),
            code=[_digest(file) for file in (*learning, *model)],
            clips=[c.clip_id for split in splits for c in split.clips],
            sums=[float(t.double().sum()) for split in splits for t in (split.features, split.targets)],
            **more,
        )

    def _features(self, heard: Input) -> tuple[Path, Path]:
        """Decode, compute and standardise a system's representation, as far as that is not done yet."""
        settings = heard.settings()
        if heard.kind == "scattering":
            settings["normalization"] = "log"
        name = f"{heard.kind}-{provenance.fingerprint(**settings)[:8]}"
        features, moments = self.data / "papers/features" / name, self.data / "papers/standardize" / f"{name}.json"
        extract.extract(self._waveforms(heard), features, settings)
        clips, _ = read_labels(self.labels)
        moments.parent.mkdir(parents=True, exist_ok=True)
        standardize.fit(features, {c.clip_id for c in clips if c.split == "train"}).save(moments)
        return features, moments

    def _waveforms(self, heard: Input) -> Waveforms:
        """The waveforms of the pipeline where they are long enough, or else those of this command."""
        clips, audio = read_manifest(self.data / "corpus/manifest.csv"), self.config.corpus.audio
        configured = self.config.waveforms.get(heard.rate)
        if configured is not None and configured.samples >= heard.n_samples:
            return Waveforms(self.data / "waveforms" / str(heard.rate), clips, audio)
        longest = max(
            s.representation.n_samples for s in systems.SYSTEMS.values() if s.representation.rate == heard.rate
        )
        folder = self.data / "papers/waveforms" / str(heard.rate)
        decode_corpus(clips, audio, heard.rate, WaveformConfig(samples=longest), folder)
        return Waveforms(folder, clips, audio)


def _batch(fitting: Mapping[str, int]) -> dict[str, Any]:
    """The batch, where it is not the rule's."""
    return {key: value for key, value in fitting.items() if key == "batch"}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _done(path: Path, mark: str) -> bool:
    """Whether a result is there and still that of the same settings, code and data."""
    return path.is_file() and read_json(path).get("fingerprint") == mark
