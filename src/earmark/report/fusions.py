"""The fusions of params.yaml: the averaged scores of experiments, and what is measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.config import Config
from earmark.corpus.label_table import read_labels
from earmark.evaluation.details import read_metrics, trainings_of
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.fusion import fused
from earmark.evaluation.metrics import EvaluationError
from earmark.evaluation.scoring import Scores, read_scores


@dataclass(frozen=True)
class Fused:
    """A fusion that was measured.

    labels: the file of its labels. test: what is measured, as of an experiment. trainings: of every network that is in
    it, by experiment and seed. seeded: whether one of them depends on its seed.
    """

    scores: Scores
    labels: Path
    test: Mapping[str, Any]
    trainings: Sequence[Sequence[Mapping[str, Any]]]

    @property
    def seeded(self) -> bool:
        """Whether one of the experiments depends on its seed."""
        return any(bool(each[0]["seeded"]) for each in self.trainings)


def measured(
    config: Config, here: Mapping[str, Path], metrics: Path, scores: Path
) -> tuple[dict[str, Fused], list[str]]:
    """Return the fusions of params.yaml whose experiments have their scores here, and a line for each other one.

    here: by experiment, the table of its labels. metrics, scores: the folders of all metrics and of the scores.

    Raises EarmarkError if a file is damaged, or if scores do not fit each other or the labels.
    """
    found, notes = {}, []
    for name, fusion in config.fusions.items():
        if lacking := [member for member in fusion.experiments if member not in here]:
            notes.append(f"not fused: {name}, the scores of {', '.join(lacking)} are not here")
            continue
        labels = here[fusion.experiments[0]]
        try:
            joint = fused([read_scores(scores / f"{m}.csv") for m in fusion.experiments], fusion.of, fusion.weights)
            test = _evaluated(joint, labels, config)
        except EvaluationError as error:
            raise EvaluationError(f"fusions.{name}: {error}") from None
        trainings = [trainings_of(read_metrics(metrics / "details" / f"{m}.json")) for m in fusion.experiments]
        found[name] = Fused(joint, labels, test, trainings)
    return found, notes


def _evaluated(scores: Scores, labels: Path, config: Config) -> dict[str, Any]:
    clips, table = read_labels(labels)
    if table.tags != scores.tags:
        raise EvaluationError(f"the scores are of other tags than {labels}; run `dvc repro` for its experiments")
    rows = {clip.clip_id: row for row, clip in enumerate(clips)}
    if unknown := set(scores.clip_ids) - rows.keys():
        raise EvaluationError(f"{len(unknown)} clips have no labels in {labels}, {min(unknown)!r} for one")
    at = [rows[clip] for clip in scores.clip_ids]
    songs, drawn = [clips[row].song for row in at], config.evaluation
    return evaluate(scores.values, table.values[at], songs, table.tags, drawn.resamples, drawn.seed).summary
