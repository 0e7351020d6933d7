"""What the stages after ``labels`` would refuse, as far as the labels and the files decide it.

``earmark corpus check`` asks this before anything is decoded: the errors are those of standardize, train, evaluate and
crossvalidate, found by their own functions where that is possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from earmark import representations
from earmark.config import Config
from earmark.corpus.label_table import Labelled
from earmark.corpus.manifest import SPLITS, Clip, TagTable
from earmark.errors import EarmarkError
from earmark.evaluation.metrics import require_defined
from earmark.experiments import CrossValidationConfig, ExperimentConfig
from earmark.training import crossvalidation, distributed, validation
from earmark.training.plan import Plan, plan_of

Labels = Mapping[str, tuple[Sequence[Clip], TagTable]]


def stops(config: Config, labels: Labels, usable: Mapping[int, frozenset[str]]) -> list[str]:
    """Return what would stop a stage, in the order of the stages; the same once.

    labels: the labelled clips of the entries of ``labels`` that can be made. usable: by rate, the ids of the clips that
    would be decoded.
    """
    found = [*_standardizing(config, labels, usable)]
    for name, experiment in config.experiments.items():
        if experiment.labels in labels:
            found += _training(config, name, experiment, *_heard(config, experiment, labels, usable))
    for name, folded in config.crossvalidations.items():
        if folded.labels in labels:
            found += _crossvalidating(config, name, folded, *_heard(config, folded, labels, usable))
    return list(dict.fromkeys(found))


def _heard(
    config: Config, experiment: ExperimentConfig, labels: Labels, usable: Mapping[int, frozenset[str]]
) -> tuple[list[Clip], TagTable]:
    """Return the labelled clips that would have features, and their tags."""
    clips, table = labels[experiment.labels]
    here = usable[config.heard[experiment.representation].rate]
    rows = [row for row, clip in enumerate(clips) if clip.clip_id in here]
    return [clips[row] for row in rows], TagTable(tuple(clips[r].clip_id for r in rows), table.tags, table.values[rows])


def _standardizing(config: Config, labels: Labels, usable: Mapping[int, frozenset[str]]) -> Iterator[str]:
    """Every representation is standardised for every entry of labels, whether an experiment uses it or not."""
    for name, (clips, _) in labels.items():
        for heard, representation in config.heard.items():
            training = [clip.clip_id for clip in clips if clip.split == "train"]
            if not usable[representation.rate].intersection(training):
                yield f"standardize {heard}-{name}: none of the {len(training)} training clips can be decoded"


def _training(
    config: Config, name: str, experiment: ExperimentConfig, clips: list[Clip], table: TagTable
) -> Iterator[str]:
    where = f"experiments.{name}"
    if not table.tags:
        yield f"{where}: there must be at least one tag to learn, got 0"
        return
    split = np.array([clip.split for clip in clips])
    for part in SPLITS:
        if not (split == part).any():
            yield f"{where}: none of the clips of the {part} split can be decoded"
            return
    for part, stage in (("valid", "train"), ("test", "evaluate")):
        try:
            require_defined(table.values[split == part])
        except EarmarkError as error:
            yield f"{where}: on the {part} split, which {stage} needs: {error}"
    yield from _batches(
        config, plan_of(config, "experiments", name, experiment), experiment, int((split == "train").sum())
    )


def _batches(config: Config, plan: Plan, experiment: ExperimentConfig, clips: int) -> Iterator[str]:
    """Yield what is wrong with the batches of so many training clips."""
    waveform = config.waveforms[config.heard[experiment.representation].rate]
    if plan.recipe is None or waveform.policy == "segments":  # segments are rows, and more than clips
        return
    smallest, processes = clips // -(-clips // plan.recipe.batch), distributed.processes()
    if smallest // processes >= 2:
        return
    if smallest < processes:
        yield (
            f"{plan.where}.batch: a batch must hold a clip for each of {processes} processes, but of {clips} training "
            f"clips the smallest holds {smallest}"
        )
        return
    try:
        heard = representations.of(config.heard[experiment.representation], experiment.representation)
        network = validation.network_of(plan, heard)
        validation.require_batches(plan.where, network, plan.recipe.batch, clips, processes)
    except EarmarkError as error:
        yield str(error)


def _crossvalidating(
    config: Config, name: str, folded: CrossValidationConfig, clips: list[Clip], table: TagTable
) -> Iterator[str]:
    where = f"crossvalidations.{name}"
    labelled = [Labelled(clip.clip_id, clip.song, clip.artist, clip.split) for clip in clips]
    try:
        found = crossvalidation.classify(labelled, table, folded.classes)
        groups = np.array([getattr(clip, folded.groups) for clip in found.clips])
        crossvalidation.require_groups(name, folded, groups)
        parts = crossvalidation.parts_of(name, folded, found.classes, groups)
    except ValueError as error:  # scikit-learn's, of classes with fewer clips than folds
        told = str(error)
        yield told if told.startswith(where) else f"{where}: {told}"
        return
    plan = plan_of(config, "crossvalidations", name, folded)
    for part in parts:
        yield from _batches(config, plan, folded, len(part.train))
