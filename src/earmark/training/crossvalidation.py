"""One label a clip: k-fold cross-validation with groups, as MIREX's artist-filtered classification tasks are judged.

Song, Ding and Wang 2018 train a softmax over genres or moods. A fold's clips are scored by a model that saw neither
them nor any clip of their groups (artists); its standardizer and its best epoch come from the other folds alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from earmark import progress
from earmark.config import Config, ConfigError, CrossValidationConfig, entry
from earmark.corpus.labels import Labelled, read_labels
from earmark.corpus.manifest import TagTable
from earmark.evaluation import scoring
from earmark.features.dataset import Origin, Split, origin, read_features
from earmark.features.standardize import fit_array
from earmark.files import write_csv, write_json
from earmark.models.saved import FILE, SavedModel
from earmark.training import distributed
from earmark.training.checkpoints import forget
from earmark.training.fit import fit, require_settings, saved_model

COLUMNS = ("clip_id", "fold", "actual", "predicted")
Numbers = NDArray[np.int64]
Parts = tuple[Numbers, Numbers, Numbers]
VALIDATION = 7  # one in so many of the clips that a fold does not hold out chooses its epoch


@dataclass(frozen=True)
class Classified:
    """Clips with one class each: who they are, the class's number, and how many clips have none or several."""

    clips: tuple[Labelled, ...]
    classes: Numbers
    left_out: int


@dataclass(frozen=True)
class Outcome:
    """What cross-validation gives: the metrics, a row of COLUMNS for every clip, and the model of each fold."""

    summary: dict[str, Any]
    rows: list[list[object]]
    models: list[SavedModel]

    def save(self, folder: Path) -> None:
        """Write the models as ``folder``/fold-<number>/model.safetensors; numbers count from 0."""
        for fold, model in enumerate(self.models):
            model.save(folder / f"fold-{fold}" / FILE)


def classify(clips: Sequence[Labelled], table: TagTable, classes: Sequence[str]) -> Classified:
    """Keep the clips that have exactly one of the classes; ConfigError where one is no tag, or has no clip."""
    if unknown := [name for name in classes if name not in table.tags]:
        raise ConfigError(f"classes must be tags of the corpus, got {unknown[0]!r}; they are {', '.join(table.tags)}")
    values = table.values[:, [table.tags.index(name) for name in classes]]
    rows = np.flatnonzero(values.sum(axis=1) == 1)
    numbers = values[rows].argmax(axis=1)
    if empty := sorted(set(range(len(classes))) - set(numbers.tolist())):
        raise ConfigError(f"classes: no clip has {classes[empty[0]]!r} and no other class")
    return Classified(tuple(clips[int(i)] for i in rows), numbers, len(clips) - len(rows))


def crossvalidate(
    name: str,
    config: Config,
    features: Path,
    labels: Path,
    checkpoints: Path,
    out: Path,
    metrics: Path,
    confusion: Path,
) -> None:
    """What the stage does for one of the crossvalidations of params.yaml: run it, and write models, metrics and table.

    A run that is killed goes on in the fold where it was; what its finished folds found is among the checkpoints.
    """
    watch = progress.Stopwatch()
    chosen = entry("crossvalidations", config.crossvalidations, name)
    require_settings(chosen.representation, config, features, origin(features))
    outcome = run(name, chosen, features, labels, checkpoints)
    if not distributed.is_main():
        return
    outcome.save(out)
    write_json(metrics, outcome.summary)
    write_csv(confusion, COLUMNS, outcome.rows)
    forget(checkpoints)
    accuracy, epochs = outcome.summary["accuracy"]["normalized"], outcome.summary["training"]["epochs"]
    told = f"accuracy {accuracy:.4f}, normalised by class"
    watch.report(f"crossvalidate {name}", len(outcome.rows), told, epochs=epochs)


def run(
    name: str, config: CrossValidationConfig, features: Path, labels: Path, checkpoints: Path | None = None
) -> Outcome:
    """Train and score every fold of one configuration.

    checkpoints: a folder for the state of each fold, from which a killed run goes on; it stays until ``forget``.
    """
    heard = origin(features)
    found = classify(*read_labels(labels), config.classes)
    here, values = read_features(features, [clip.clip_id for clip in found.clips])
    clips, classes = [found.clips[i] for i in here], found.classes[here]
    groups = np.array([getattr(clip, config.groups) for clip in clips])
    if len(set(groups)) < 2 * config.folds:
        raise ConfigError(
            f"crossvalidations.{name}.folds must be at most half the number of groups, got {config.folds} for "
            f"{len(set(groups))} values of {config.groups}"
        )
    rows: list[list[object]] = []
    actual, predicted = np.empty(0, int), np.empty(0, int)
    accuracies: list[float] = []
    absent = 0  # classes without a clip in a fold, of which its accuracy cannot know
    models: list[SavedModel] = []
    with progress.bar(config.folds, f"crossvalidate {name}", "fold") as bar:
        for fold, parts in enumerate(_parts(name, config, classes, groups)):
            state = checkpoints and checkpoints / f"fold-{fold}"
            tested, scores, model = _fold(name, config, values, classes, clips, parts, heard, state)
            models.append(model)
            truth, guesses = tested.targets.numpy().argmax(axis=1), scores.argmax(axis=1)
            actual, predicted = np.concatenate([actual, truth]), np.concatenate([predicted, guesses])
            absent += len(config.classes) - len(set(truth))
            accuracies.append(normalized_accuracy(truth, guesses, len(config.classes)))
            names = [(config.classes[t], config.classes[g]) for t, g in zip(truth, guesses, strict=True)]
            rows += [[clip.clip_id, fold, *pair] for clip, pair in zip(tested.clips, names, strict=True)]
            bar.update()
    summary = {
        "accuracy": {
            "normalized": float(np.mean(accuracies)),
            "raw": float((predicted == actual).mean()),
            "lowest_fold": min(accuracies),
            "highest_fold": max(accuracies),
            "absent_in_folds": absent,
        },
        "recall": dict(zip(config.classes, recalls(actual, predicted, len(config.classes)).tolist(), strict=True)),
        "clips": len(rows),
        "left_out": found.left_out,
        "missing_clips": len(found.clips) - len(rows),
        "groups": len(set(groups)),
        "training": {
            "folds": config.folds,
            "epochs": sum(model.training["epochs"] for model in models),
            "parameters": models[0].training["parameters"],
        },
    }
    return Outcome(summary, rows, models)


def _parts(name: str, config: CrossValidationConfig, classes: Numbers, groups: NDArray[np.str_]) -> list[Parts]:
    """Of each fold, what trains, what chooses the epoch, and what is held out."""
    found = []
    for fold, (rest, held_out) in enumerate(_split(config.folds, classes, groups, config.seed)):
        inner = min(VALIDATION, len(set(groups[rest])))
        train, valid = (rest[rows] for rows in _split(inner, classes[rest], groups[rest], config.seed)[0])
        if len(set(classes[valid])) < 2:
            raise ConfigError(
                f"crossvalidations.{name}.groups {config.groups!r}: the {len(valid)} clips that choose the epoch of "
                f"fold {fold} must be of two classes at least, but all are {config.classes[classes[valid][0]]!r}; "
                "a class has too few of these groups"
            )
        found.append((train, valid, held_out))
    return found


def _split(folds: int, classes: Numbers, groups: NDArray[np.str_], seed: int) -> list[tuple[Numbers, Numbers]]:
    """(the rest, held out) of each fold: the classes spread evenly, as far as whole groups can be."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # what a fold then lacks is counted
        return list(splitter.split(classes, classes, groups))


def recalls(actual: Numbers, predicted: Numbers, n_classes: int) -> NDArray[np.float64]:
    """Share of each class's clips that are found, NaN for a class without a clip: (n_classes,)."""
    counts = np.bincount(actual, minlength=n_classes).astype(float)
    right = np.bincount(actual[actual == predicted], minlength=n_classes)
    found: NDArray[np.float64] = np.divide(right, counts, out=np.full(n_classes, np.nan), where=counts > 0)
    return found


def normalized_accuracy(actual: Numbers, predicted: Numbers, n_classes: int) -> float:
    """Mean recall of the classes that occur, so that each counts the same (MIREX's normalisation by class)."""
    return float(np.nanmean(recalls(actual, predicted, n_classes)))


def _fold(
    name: str,
    config: CrossValidationConfig,
    values: NDArray[np.float32],
    classes: Numbers,
    clips: Sequence[Labelled],
    parts: Parts,
    heard: Origin,
    checkpoints: Path | None,
) -> tuple[Split, NDArray[np.float64], SavedModel]:
    """Train on the first part, choose the epoch on the second; return clips and scores of the third, and the model.

    Scores are (clips, classes).
    """
    standardizer = fit_array(values[parts[0]])
    one_hot = np.eye(len(config.classes), dtype=np.float32)[classes]
    train, valid, held_out = (
        Split(
            torch.from_numpy((values[rows] - standardizer.mean) * standardizer.inverse_std),
            torch.from_numpy(one_hot[rows]),
            tuple(clips[i] for i in rows),
            tuple(config.classes),
            0,
        )
        for rows in parts
    )
    fitted = fit(name, config.experiment(), train, valid, checkpoints, exclusive=True)
    model = saved_model(name, fitted, valid, standardizer, heard, exclusive=True)
    return *held_out.by_clip(scoring.score_saved(model, held_out.features)), model
