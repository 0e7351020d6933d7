"""An experiment on the test split: its model is checked, scores the clips, and is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import progress
from earmark.config import EvaluationConfig, entry, load
from earmark.corpus.label_table import read_labels
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.details import details as content
from earmark.evaluation.evaluate import TAG_COLUMNS, Evaluation, evaluate
from earmark.features import dataset
from earmark.features.dataset import Split
from earmark.features.standardize import Standardizer
from earmark.files import own_text, write_csv, write_json, write_text
from earmark.models.saved import FILE, SavedModel, model_folders


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
    details: Path,
    tags: Path,
    roc: Path,
    curves: Path,
) -> None:
    """Run the stage for an experiment of params.yaml: score the test split with its model, and write what is measured.

    model: the folder that train wrote. features, labels, standardizer: what it was trained on. The other paths are
    written: scores (a probability per seed, clip and tag), metrics (the few figures that are compared), details (all
    that is measured, and what is known of the training), tags (a row per tag), roc (the mean ROC curve), and curves (a
    copy of what train wrote about its epochs; of several seeds with a column that names them).

    Raises EarmarkError if params.yaml does not have the experiment, or if features, labels or standardizer are not
    those of the model.
    """
    config = load(params)
    watch = progress.Stopwatch()
    experiment = entry("experiments", config.experiments, name)
    folders = model_folders(model, experiment.seeds)
    saved = {seed: SavedModel.load(folder / FILE) for seed, folder in folders.items()}
    trained = _curves({seed: folder / "curves.csv" for seed, folder in folders.items()})
    for seed, one in saved.items():
        require_inputs(one, folders[seed] / FILE, features, labels, standardizer)
    split = dataset.load(features, labels, standardizer, "test")
    test, probabilities, result = evaluate_models([*saved.values()], split, config.evaluation)
    scoring.write_scores(scores, test, probabilities, experiment.seeds)
    write_json(metrics, headline(result.summary))
    summary = result.summary | {"missing_clips": test.missing}
    write_json(details, content(summary, {seed: one.training for seed, one in saved.items()}))
    write_csv(tags, TAG_COLUMNS, result.tags)
    write_csv(roc, ("fpr", "tpr"), result.roc)
    write_text(curves, trained)
    watch.report(f"evaluate {name}", len(test.clips), f"ROC-AUC {result.summary['roc_auc']['macro']:.4f}")


def headline(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the few figures that are compared: mean ROC-AUC, its interval, PR-AUC, and the deviation over seeds.

    >>> headline({"roc_auc": {"macro": 0.9, "low": 0.88, "high": 0.92, "micro": 0.93}, "pr_auc": {"macro": 0.4}})
    {'roc_auc': 0.9, 'low': 0.88, 'high': 0.92, 'pr_auc': 0.4}
    """
    roc = summary["roc_auc"]
    found = {"roc_auc": roc["macro"], "low": roc["low"], "high": roc["high"], "pr_auc": summary["pr_auc"]["macro"]}
    return found | ({"deviation": roc["deviation"]} if "deviation" in roc else {})


def _curves(files: Mapping[int, Path]) -> str:
    """Return the curves of one seed as they are, those of several below each other with a first column ``seed``."""
    texts = {}
    for seed, file in files.items():
        texts[seed] = own_text(file).splitlines()
    if len(texts) == 1:
        return "".join(f"{line}\n" for lines in texts.values() for line in lines)
    header = next(iter(texts.values()))[0]
    rows = [f"{seed},{line}\n" for seed, lines in texts.items() for line in lines[1:]]
    return "".join([f"seed,{header}\n", *rows])


def evaluate_models(
    saved: Sequence[SavedModel], test: Split, config: EvaluationConfig, batch: int | None = None
) -> tuple[Split, NDArray[np.float64], Evaluation]:
    """Score and measure a split by the models of one experiment, one per seed.

    Return it with a row per clip, the scores (seeds, clips, tags), and what is measured. The thresholds are the models'
    own. batch: how many clips are scored at one time.
    """
    found = [test.by_clip(scoring.score_saved(one, test.features, batch)) for one in saved]
    test, scores = found[0][0], np.stack([scores for _, scores in found])
    chosen = [[np.nan if value is None else value for value in one.thresholds] for one in saved]
    songs = [clip.song for clip in test.clips]
    result = evaluate(scores, test.targets.numpy(), songs, test.tags, config.resamples, config.seed, np.array(chosen))
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
