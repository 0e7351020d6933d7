"""Experiments cross-validated: every labelled clip is scored by a network that heard nothing of its artist.

A split of a small corpus tests few artists. Here all of them are tested, in turn. The scores of two folds come from
two networks, whose levels may differ; so a score counts by its rank among the clips of its fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata  # type: ignore[import-untyped]
from sklearn.model_selection import GroupKFold

from earmark import progress
from earmark.config import Config, ConfigError, entry
from earmark.corpus.label_table import Labelled, read_labels
from earmark.corpus.manifest import SPLITS
from earmark.evaluation import scoring
from earmark.evaluation.comparison import Difference, compare
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.metrics import EvaluationError, macro_roc_auc, require_defined
from earmark.evaluation.scoring import Scores
from earmark.experiments import ExperimentConfig, Groups
from earmark.features.dataset import Split, read_features
from earmark.features.standardize import fit_array, standardized_dims
from earmark.files import markdown_table
from earmark.sections import near
from earmark.storage import shards
from earmark.training.fit import fit
from earmark.training.plan import Plan, plan_of

COLUMNS = ("experiment", "ROC-AUC", "95 % interval", "mean of folds", "lowest fold", "highest fold", "seeds")
PAIRS = ("first", "second", "difference", "95 % interval", "p", "after Holm")


@dataclass(frozen=True)
class Wish:
    """How experiments are cross-validated.

    folds: how many. groups: what is not in two folds at one time. seed: of the folds. splits: whose clips take part;
    ``train`` and ``valid`` alone leave the test split unseen.
    """

    folds: int = 5
    groups: Groups = "artist"
    seed: int = 1
    splits: tuple[str, ...] = SPLITS


@dataclass(frozen=True)
class Folded:
    """What a cross-validation found.

    scores: of all clips, ranks in (0, 1) within their folds. each: the ROC-AUC of every seed and fold, (seeds, folds).
    """

    scores: Scores
    each: NDArray[np.float64]


@dataclass(frozen=True)
class _Data:
    """All clips that take part: a row of features, targets and clips for each, or for each segment of one."""

    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    clips: tuple[Labelled, ...]
    tags: tuple[str, ...]
    standardized: NDArray[np.bool_] | None

    def split(self, rows: NDArray[np.int64], mean: NDArray[np.float32], inverse_std: NDArray[np.float32]) -> Split:
        values = (self.features[rows] - mean) * inverse_std
        return Split(
            torch.from_numpy(values), torch.from_numpy(self.targets[rows]), tuple(self.clips[r] for r in rows),
            self.tags, 0,
        )  # fmt: skip


def table(config: Config, names: Sequence[str], data: Path, wish: Wish) -> str:
    """Cross-validate experiments of one set of labels, and return the tables of all, and of all pairs.

    data: the folder that the pipeline fills, which must have the labels and the features.

    Raises ConfigError if an experiment or a split is unknown, if they are of several sets of labels, or if groups are
    too few; ShardError if there are no features.
    """
    if unknown := [split for split in wish.splits if split not in SPLITS]:
        raise ConfigError(f"splits must be among {', '.join(SPLITS)}, got {unknown[0]!r}{near(unknown[0], SPLITS)}")
    experiments = {name: entry("experiments", config.experiments, name) for name in names}
    if len(labels := {experiment.labels for experiment in experiments.values()}) > 1:
        raise ConfigError(f"experiments must have the same labels to be compared, got {', '.join(sorted(labels))}")
    found = {}
    for name in names:
        watch = progress.Stopwatch()
        found[name] = crossvalidated(config, name, data, wish)
        mean = found[name].each.mean()
        progress.line(f"{name}: ROC-AUC {mean:.4f}, the mean of its folds, in {watch.seconds():.0f} s")
    clips, tags = read_labels(data / "labels" / labels.pop() / "labels.csv")
    targets = dict(zip((clip.clip_id for clip in clips), tags.values, strict=True))
    songs = {clip.clip_id: clip.song for clip in clips}
    bootstrap = config.evaluation.resamples, config.evaluation.seed
    rows = []
    for name, folded in found.items():
        ids = folded.scores.clip_ids
        measured = evaluate(
            folded.scores.values, np.array([targets[clip] for clip in ids]), [songs[clip] for clip in ids],
            resamples=bootstrap[0], seed=bootstrap[1], tags=tags.tags,
        ).summary["roc_auc"]  # fmt: skip
        low, high = measured["low"], measured["high"]
        folds = folded.each.mean(axis=0)
        rows.append(
            (name, f"{measured['macro']:.4f}", f"{low:.4f} to {high:.4f}", f"{folds.mean():.4f}",
             f"{folds.min():.4f}", f"{folds.max():.4f}", str(len(folded.scores.seeds)))
        )  # fmt: skip
    text = markdown_table(rows, COLUMNS)
    if len(found) > 1:
        scores = {name: folded.scores for name, folded in found.items()}
        text += "\n" + markdown_table([_pair(row) for row in compare(scores, targets, songs, *bootstrap)], PAIRS)
    return text


def crossvalidated(config: Config, name: str, data: Path, wish: Wish) -> Folded:
    """Train an experiment from each of its seeds on every fold's rest, and score the fold.

    Of the rest, the next fold validates, and chooses the epoch or the penalty where the experiment chooses one.

    Raises ConfigError if there are fewer groups than folds, or if no tag of a fold can be measured; ShardError if no
    clip has features.
    """
    experiment = entry("experiments", config.experiments, name)
    plan = plan_of(config, "experiments", name, experiment)
    rows = _read(experiment, data, wish.splits)
    groups = np.array([getattr(clip, wish.groups) for clip in rows.clips])
    if not 3 <= wish.folds <= len(set(groups)):
        raise ConfigError(
            f"folds must be in [3, {len(set(groups))}], the number of {wish.groups}s, got {wish.folds}: one is scored, "
            "one validates and the others train"
        )
    splitter = GroupKFold(wish.folds, shuffle=True, random_state=wish.seed)
    parts = [held_out for _, held_out in splitter.split(groups, groups=groups)]
    for number, part in enumerate(parts):
        try:
            require_defined(rows.targets[part])
        except EvaluationError as error:
            raise ConfigError(f"folds {wish.folds}: fold {number}: {error}; fewer folds are larger") from None
    scored: list[list[tuple[Split, NDArray[np.float64]]]] = []
    with progress.bar(wish.folds * len(experiment.seeds), f"crossvalidate {name}", "fold") as bar:
        for seed in experiment.seeds:
            scored.append([])
            for number in range(wish.folds):
                scored[-1].append(_scored(plan, seed, rows, parts, number))
                bar.update()
    each = [[macro_roc_auc(scores, split.targets.numpy()) for split, scores in folds] for folds in scored]
    clips = tuple(clip.clip_id for split, _ in scored[0] for clip in split.clips)
    ranks = [
        np.concatenate([(rankdata(scores, axis=0) - 0.5) / len(scores) for _, scores in folds]) for folds in scored
    ]
    return Folded(Scores(clips, rows.tags, tuple(experiment.seeds), np.stack(ranks)), np.array(each))


def _scored(
    plan: Plan, seed: int, rows: _Data, parts: Sequence[NDArray[np.int64]], number: int
) -> tuple[Split, NDArray[np.float64]]:
    """Return a fold with a row per clip, and its scores by a network that was trained on the others."""
    held_out, validating = parts[number], parts[(number + 1) % len(parts)]
    training = np.setdiff1d(np.arange(len(rows.clips)), np.concatenate([held_out, validating]))
    fitted = fit_array(rows.features[training], rows.standardized)
    train, valid, test = (
        rows.split(part, fitted.mean, fitted.inverse_std) for part in (training, validating, held_out)
    )
    found = fit(plan, seed, train, valid)
    learnt = found.learnt
    return test.by_clip(scoring.score(found.model.eval(), test.features, learnt.excerpt_frames, learnt.n_excerpts))


def _read(experiment: ExperimentConfig, data: Path, splits: Sequence[str]) -> _Data:
    """Read the clips of some splits. Raises ShardError if none has features."""
    features, labels = data / "features" / experiment.representation, data / "labels" / experiment.labels / "labels.csv"
    clips, table = read_labels(labels)
    members = [row for row, clip in enumerate(clips) if clip.split in splits]
    here, values = read_features(features, [clips[row].clip_id for row in members])
    if not here:
        raise shards.ShardError(f"{features}: none of the {len(members)} clips of {', '.join(splits)} has features")
    chosen = [members[i] for i in here]
    targets = table.values[chosen].astype(np.float32)
    return _Data(values, targets, tuple(clips[row] for row in chosen), table.tags, standardized_dims(features))


def _pair(row: Difference) -> tuple[str, ...]:
    return (
        row.first, row.second, f"{row.difference:+.4f}", f"{row.low:+.4f} to {row.high:+.4f}", f"{row.p:.2g}",
        "yes" if row.holm else "no",
    )  # fmt: skip
