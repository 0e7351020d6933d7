"""An experiment on the test split: its model is checked, scores the clips, and is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark import progress
from earmark.config import EvaluationConfig, entry, load
from earmark.corpus.label_table import read_labels
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.evaluate import TAG_COLUMNS, Evaluation, evaluate
from earmark.features import dataset
from earmark.features.dataset import Split
from earmark.features.standardize import Standardizer
from earmark.files import write_csv, write_json, write_text
from earmark.models.saved import FILE, SavedModel


def evaluate_experiment(
    params: Path,
    name: str,
    *,
    model: Path,
    features: Path,
    labels: Path,
    standardizer: Path,
    scores: Path,
    metrics: Path,
    tags: Path,
    roc: Path,
    curves: Path,
) -> None:
    """Run the stage for an experiment of params.yaml: score the test split with its model, and write what is measured.

    model: the folder that train wrote. features, labels, standardizer: what it was trained on. The other paths are
    written: scores (a probability per clip and tag), metrics, tags (a row per tag), roc (the mean ROC curve), and
    curves (a copy of what train wrote about its epochs).

    Raises EarmarkError if params.yaml does not have the experiment, or if features, labels or standardizer are not
    those of the model.
    """
    config = load(params)
    watch = progress.Stopwatch()
    entry("experiments", config.experiments, name)
    saved = SavedModel.load(model / FILE)
    trained = (model / "curves.csv").read_text(encoding="utf-8")
    require_inputs(saved, model / FILE, features, labels, standardizer)
    split = dataset.load(features, labels, standardizer, "test")
    test, probabilities, result = evaluate_model(saved, split, config.evaluation)
    scoring.write_scores(scores, test, probabilities)
    summary = result.summary | {"missing_clips": test.missing}
    write_json(metrics, {"test": summary, "training": dict(saved.training)})
    write_csv(tags, TAG_COLUMNS, result.tags)
    write_csv(roc, ("fpr", "tpr"), result.roc)
    write_text(curves, trained)
    watch.report(f"evaluate {name}", len(test.clips), f"ROC-AUC {result.summary['roc_auc']['macro']:.4f}")


def evaluate_model(
    saved: SavedModel, test: Split, config: EvaluationConfig, batch: int | None = None
) -> tuple[Split, NDArray[np.float64], Evaluation]:
    """Score and measure a split. Return it with a row per clip, the scores (clips, tags), and what is measured.

    The thresholds are the model's own. batch: how many clips are scored at one time.
    """
    test, scores = test.by_clip(scoring.score_saved(saved, test.features, batch))
    thresholds = np.array([np.nan if value is None else value for value in saved.thresholds])
    songs = [clip.song for clip in test.clips]
    result = evaluate(scores, test.targets.numpy(), songs, test.tags, config.resamples, config.seed, thresholds)
    return test, scores, result


def require_inputs(saved: SavedModel, file: Path, features: Path, labels: Path, standardizer: Path) -> None:
    """Raise EarmarkError if features, tags or standardizer are not those that a model was trained with."""
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
