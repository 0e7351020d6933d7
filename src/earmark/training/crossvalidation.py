"""Exclusive classes: k-fold cross-validation that keeps groups together, as in MIREX's artist-filtered tasks.

Song, Ding and Wang 2018 train a softmax over genres or moods. The clips of a fold are scored by a model that has seen
neither them nor any other clip of their groups (artists). Its standardizer and its best epoch come from other folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from earmark import progress
from earmark.config import ConfigError, entry
from earmark.corpus.label_table import Labelled, read_labels
from earmark.corpus.manifest import TagTable
from earmark.evaluation import scoring
from earmark.experiments import CrossValidationConfig
from earmark.features.dataset import Origin, Split, origin, read_features
from earmark.features.standardize import fit_array, standardized_dims
from earmark.files import write_csv, write_json
from earmark.models.saved import FILE, SavedModel
from earmark.training import distributed, validation
from earmark.training.checkpoints import forget
from earmark.training.fit import fit, require_settings, saved_model
from earmark.training.plan import Plan, plan_of

COLUMNS = ("clip_id", "fold", "actual", "predicted")
Numbers = NDArray[np.int64]
VALIDATION = 7  # one in seven of the clips that a fold does not hold out chooses its epoch


class Parts(NamedTuple):
    """The rows of a fold: those that train, those that choose the best epoch, and those that are held out."""

    train: Numbers
    valid: Numbers
    held_out: Numbers


@dataclass(frozen=True)
class Classified:
    """The clips that have one class, the numbers of their classes, and how many clips have none or several."""

    clips: tuple[Labelled, ...]
    classes: Numbers
    left_out: int


@dataclass(frozen=True)
class Outcome:
    """The result of a cross-validation: the metrics, a row of COLUMNS for every clip, and the model of each fold."""

    summary: dict[str, Any]
    rows: list[list[object]]
    models: list[SavedModel]

    def save(self, folder: Path) -> None:
        """Write the models as ``folder``/fold-<number>/model.safetensors, numbered from 0."""
        for fold, model in enumerate(self.models):
            model.save(folder / f"fold-{fold}" / FILE)


def classify(clips: Sequence[Labelled], table: TagTable, classes: Sequence[str]) -> Classified:
    """Return the clips that have exactly one of the classes.

    Raises ConfigError if a class is not a tag of the table, or has no clip.
    """
    if unknown := [name for name in classes if name not in table.tags]:
        raise ConfigError(f"classes must be tags of the corpus, got {unknown[0]!r}; they are {', '.join(table.tags)}")
    values = table.values[:, [table.tags.index(name) for name in classes]]
    rows = np.flatnonzero(values.sum(axis=1) == 1)
    numbers = values[rows].argmax(axis=1)
    if empty := sorted(set(range(len(classes))) - set(numbers.tolist())):
        raise ConfigError(f"classes: no clip has {classes[empty[0]]!r} and no other class")
    return Classified(tuple(clips[int(i)] for i in rows), numbers, len(clips) - len(rows))


@dataclass(frozen=True)
class _Data:
    """The rows that count: their clips, features (rows, frames, dims), classes (rows,) and groups (rows,).

    A row is a clip, or a segment of one. standardized: (dims,), which dims are standardised, None for all. left_out:
    how many clips have no class or several. missing: how many clips have no features.
    """

    clips: list[Labelled]
    features: NDArray[np.float32]
    classes: Numbers
    groups: NDArray[np.str_]
    standardized: NDArray[np.bool_] | None
    left_out: int
    missing: int
    origin: Origin


@dataclass(frozen=True)
class _Fold:
    """The clips that a fold holds out, their actual and predicted classes (clips,), and the fold's model."""

    clips: tuple[Labelled, ...]
    actual: Numbers
    predicted: Numbers
    model: SavedModel


def crossvalidate(
    params: Path, name: str, features: Path, labels: Path, checkpoints: Path, out: Path, metrics: Path, confusion: Path
) -> None:
    """Run the stage ``crossvalidate``: run the cross-validation ``name`` and write its models, metrics and predictions.

    params: the path of params.yaml. out: a folder for the models. checkpoints: what finished folds have found, and the
    state of the fold in which a killed run goes on.

    Raises EarmarkError if a setting is wrong, or if the features were made with other settings.
    """
    watch = progress.Stopwatch()
    config = validation.load(params)
    chosen = entry("crossvalidations", config.crossvalidations, name)
    require_settings(chosen.representation, config, features, origin(features))
    plan = plan_of(config, "crossvalidations", name, chosen)
    outcome = run(name, chosen, plan, features, labels, checkpoints)
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
    name: str, config: CrossValidationConfig, plan: Plan, features: Path, labels: Path, checkpoints: Path | None = None
) -> Outcome:
    """Train and score every fold as planned.

    name: the key in params.yaml, for errors and for the models. features: a folder of shards. checkpoints: a folder for
    the state of each fold, from which a killed run goes on; the caller deletes it by ``checkpoints.forget``.

    Raises ConfigError if a class has no clip or there are too few groups.
    """
    data = _read(name, config, features, labels)
    folds: list[_Fold] = []
    with progress.bar(config.folds, f"crossvalidate {name}", "fold") as bar:
        for number, parts in enumerate(parts_of(name, config, data.classes, data.groups)):
            state = checkpoints and checkpoints / f"fold-{number}"
            folds.append(_train_and_score(name, config, plan, data, parts, state))
            bar.update()
    rows: list[list[object]] = [
        [clip.clip_id, number, config.classes[actual], config.classes[predicted]]
        for number, fold in enumerate(folds)
        for clip, actual, predicted in zip(fold.clips, fold.actual, fold.predicted, strict=True)
    ]
    return Outcome(_summary(config, data, folds), rows, [fold.model for fold in folds])


def _read(name: str, config: CrossValidationConfig, features: Path, labels: Path) -> _Data:
    """Read the clips that have one class; raise ConfigError if a class has none with features, or groups are few."""
    heard = origin(features)
    found = classify(*read_labels(labels), config.classes)
    here, values = read_features(features, [clip.clip_id for clip in found.clips])
    if empty := sorted(set(range(len(config.classes))) - set(found.classes[here].tolist())):
        lacking = config.classes[empty[0]]
        raise ConfigError(f"classes: of the clips that {features} has, no clip has {lacking!r} and no other class")
    clips = [found.clips[i] for i in here]
    groups = np.array([getattr(clip, config.groups) for clip in clips])
    require_groups(name, config, groups)
    missing = len(found.clips) - len(set(here))  # a clip in segments has several rows
    chosen = standardized_dims(features)
    return _Data(clips, values, found.classes[here], groups, chosen, found.left_out, missing, heard)


def _summary(config: CrossValidationConfig, data: _Data, folds: Sequence[_Fold]) -> dict[str, Any]:
    """Return the metrics; ``absent_in_folds`` counts the classes without a clip in a fold, over all folds."""
    n_classes = len(config.classes)
    actual, predicted = (np.concatenate([getattr(fold, part) for fold in folds]) for part in ("actual", "predicted"))
    accuracies = [normalized_accuracy(fold.actual, fold.predicted, n_classes) for fold in folds]
    return {
        "accuracy": {
            "normalized": float(np.mean(accuracies)),
            "raw": float((predicted == actual).mean()),
            "lowest_fold": min(accuracies),
            "highest_fold": max(accuracies),
            "absent_in_folds": sum(n_classes - len(set(fold.actual)) for fold in folds),
        },
        "recall": dict(zip(config.classes, recalls(actual, predicted, n_classes).tolist(), strict=True)),
        "clips": len(actual),
        "left_out": data.left_out,
        "missing_clips": data.missing,
        "groups": len(set(data.groups)),
        "training": {
            "folds": config.folds,
            "epochs": sum(fold.model.training["epochs"] for fold in folds),
            "parameters": folds[0].model.training["parameters"],
        },
    }


def require_groups(name: str, config: CrossValidationConfig, groups: NDArray[np.str_]) -> None:
    """Raise ConfigError if the groups of the rows, (rows,), are too few for the folds."""
    if len(set(groups)) < 2 * config.folds:
        raise ConfigError(
            f"crossvalidations.{name}.folds must be at most half the number of groups, got {config.folds} for "
            f"{len(set(groups))} values of {config.groups}"
        )


def parts_of(name: str, config: CrossValidationConfig, classes: Numbers, groups: NDArray[np.str_]) -> list[Parts]:
    """Return the parts of every fold; raise ConfigError if the rows that choose an epoch are all of one class.

    Also raise it if no class has enough rows for the folds, or if a fold leaves one group alone.
    """
    found = []
    for fold, (rest, held_out) in enumerate(_split(name, config.folds, classes, groups, config.seeds[0])):
        inner = min(VALIDATION, len(set(groups[rest])))
        if inner < 2:
            raise ConfigError(
                f"crossvalidations.{name}.groups {config.groups!r}: fold {fold} of {config.folds} must leave two, to "
                f"train and to choose its epoch, but of {len(set(groups))} only {str(groups[rest][0])!r} is left"
            )
        train, valid = (rest[rows] for rows in _split(name, inner, classes[rest], groups[rest], config.seeds[0])[0])
        if len(set(classes[valid])) < 2:
            raise ConfigError(
                f"crossvalidations.{name}.groups {config.groups!r}: the {len(valid)} clips that choose the epoch of "
                f"fold {fold} must be of two classes at least, but all are {config.classes[classes[valid][0]]!r}; "
                "a class has too few of these groups"
            )
        found.append(Parts(train, valid, held_out))
    return found


def _split(
    name: str, folds: int, classes: Numbers, groups: NDArray[np.str_], seed: int
) -> list[tuple[Numbers, Numbers]]:
    """Return (the rest, held out) for each fold, whole groups each, with the classes spread as evenly as can be.

    Raises ConfigError if every class has fewer rows than there are folds.
    """
    if (most := int(np.bincount(classes).max())) < folds:
        raise ConfigError(
            f"crossvalidations.{name}.folds: of {len(classes)} clips in {folds} parts one class at least must have a "
            f"clip in each part, but the largest has {most}; fewer folds, or more clips of a class"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # `absent_in_folds` counts it
        return list(splitter.split(classes, classes, groups))


def recalls(actual: Numbers, predicted: Numbers, n_classes: int) -> NDArray[np.float64]:
    """Return the share of each class's clips that are predicted as such, (n_classes,), NaN for a class without clips.

    actual, predicted: (clips,) numbers of classes.

    >>> recalls(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1]), n_classes=3)
    array([0.75, 1.  ,  nan])
    """
    counts = np.bincount(actual, minlength=n_classes).astype(float)
    right = np.bincount(actual[actual == predicted], minlength=n_classes)
    return np.divide(right, counts, out=np.full(n_classes, np.nan), where=counts > 0)


def normalized_accuracy(actual: Numbers, predicted: Numbers, n_classes: int) -> float:
    """Return the mean recall of the classes that occur, so that each counts the same (MIREX's normalised accuracy).

    >>> normalized_accuracy(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1]), n_classes=3)
    0.875
    """
    return float(np.nanmean(recalls(actual, predicted, n_classes)))


def _train_and_score(
    name: str, config: CrossValidationConfig, plan: Plan, data: _Data, parts: Parts, checkpoints: Path | None
) -> _Fold:
    """Train a fold's model and predict the classes of the clips that the fold holds out."""
    standardizer = fit_array(data.features[parts.train], data.standardized)
    one_hot = np.eye(len(config.classes), dtype=np.float32)[data.classes]
    train, valid, held_out = (
        Split(
            torch.from_numpy((data.features[rows] - standardizer.mean) * standardizer.inverse_std),
            torch.from_numpy(one_hot[rows]),
            tuple(data.clips[i] for i in rows),
            tuple(config.classes),
            0,
        )
        for rows in parts
    )
    fitted = fit(plan, config.seeds[0], train, valid, checkpoints, exclusive=True)
    model = saved_model(name, fitted, valid, standardizer, data.origin, exclusive=True)
    tested, scores = held_out.by_clip(scoring.score_saved(model, held_out.features))
    return _Fold(tested.clips, tested.targets.numpy().argmax(axis=1), scores.argmax(axis=1), model)
