"""A trained model on the test split: that it belongs to these features and labels, its scores, its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark import progress
from earmark.config import Config, EvaluationConfig, entry
from earmark.corpus.labels import read_labels
from earmark.errors import EarmarkError
from earmark.evaluation import metrics, scoring
from earmark.evaluation.metrics import Evaluation
from earmark.features import dataset
from earmark.features.dataset import Split
from earmark.features.standardize import Standardizer
from earmark.files import write_csv, write_json, write_text
from earmark.models.saved import FILE, SavedModel


@dataclass(frozen=True)
class Written:
    """Where an evaluation writes its scores, metrics, table of tags, mean ROC curve, and the curves of training."""

    scores: Path
    metrics: Path
    tags: Path
    roc: Path
    curves: Path


def evaluate_experiment(
    name: str, config: Config, model: Path, features: Path, labels: Path, standardizer: Path, out: Written
) -> None:
    """What the stage does for an experiment: score the test split with the model in the folder ``model``, and write.

    Raises EarmarkError where the features, the labels or the standardizer are not those of the model.
    """
    watch = progress.Stopwatch()
    entry("experiments", config.experiments, name)
    saved = SavedModel.load(model / FILE)
    curves = (model / "curves.csv").read_text(encoding="utf-8")
    require_inputs(saved, model / FILE, features, labels, standardizer)
    test, scores, result = judge(saved, dataset.load(features, labels, standardizer, "test"), config.evaluation)
    scoring.write_scores(out.scores, test, scores)
    summary = result.summary | {"missing_clips": test.missing}
    write_json(out.metrics, {"test": summary, "training": dict(saved.training)})
    write_csv(out.tags, metrics.TAG_COLUMNS, result.tags)
    write_csv(out.roc, ("fpr", "tpr"), result.roc)
    write_text(out.curves, curves)
    watch.report(f"evaluate {name}", len(test.clips), f"ROC-AUC {result.summary['roc_auc']['macro']:.4f}")


def judge(
    saved: SavedModel, test: Split, config: EvaluationConfig, batch: int | None = None
) -> tuple[Split, NDArray[np.float64], Evaluation]:
    """The split with a row per clip, its scores (clips, tags), and what is measured, at the model's own thresholds."""
    test, scores = test.by_clip(scoring.score_saved(saved, test.features, batch))
    thresholds = np.array([np.nan if value is None else value for value in saved.thresholds])
    targets, songs = test.targets.numpy(), test.songs()
    return (
        test,
        scores,
        metrics.evaluate(scores, targets, songs, test.tags, config.resamples, config.seed, thresholds),
    )


def require_inputs(saved: SavedModel, file: Path, features: Path, labels: Path, standardizer: Path) -> None:
    """Refuse features that are not made as the model heard them, labels of other tags, and other standardizer."""
    heard, fitted = dataset.origin(features), Standardizer.load(standardizer)
    same_standardizer = all(
        np.array_equal(ours, theirs)
        for ours, theirs in (
            (fitted.mean, saved.standardizer.mean),
            (fitted.inverse_std, saved.standardizer.inverse_std),
        )
    )
    for what, other, same in (
        ("representation", features, heard.representation == saved.representation),
        ("waveforms", features, heard.waveform == saved.waveform),
        ("tags", labels, read_labels(labels)[1].tags == saved.tags),
        ("standardizer", standardizer, same_standardizer),
    ):
        if not same:
            raise EarmarkError(
                f"{other} does not fit the model {file}, which was trained with other {what}; run "
                f"`dvc repro train@{saved.experiment}`"
            )
