"""Train a system on cached features and save it with all that leads from an audio file to tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import nn

from earmark import devices, progress
from earmark.config import Config, ConfigError, entry
from earmark.evaluation import scoring
from earmark.evaluation.metrics import equal_error_thresholds, macro_roc_auc
from earmark.features import dataset
from earmark.features.dataset import Origin, Split, origin
from earmark.features.standardize import Standardizer
from earmark.files import write_csv
from earmark.models.networks import SelfFitting, count_parameters
from earmark.models.saved import FILE, SavedModel, model_folders
from earmark.storage import memory, provenance
from earmark.training import distributed, gradient, validation
from earmark.training.checkpoints import forget
from earmark.training.gradient import Learnt, Task, makers
from earmark.training.plan import Plan, plan_of
from earmark.training.tagger import CURVES, DivergedError


@dataclass(frozen=True)
class Fitted:
    """A trained network with its best weights, the plan and the seed of its training, and what that has found."""

    model: nn.Module
    plan: Plan
    seed: int
    learnt: Learnt

    @property
    def curves(self) -> list[list[float]]:
        """A row of CURVES per epoch, none if the network fits itself."""
        return self.learnt.curves

    @property
    def summary(self) -> dict[str, Any]:
        """What the metrics and the model's file say about the training; ``seeded``: it depends on the seed."""
        return {
            "epochs": len(self.learnt.curves),
            "best_epoch": self.learnt.best_epoch,
            "excerpt_frames": self.learnt.excerpt_frames,
            "excerpts": self.learnt.n_excerpts,
            "valid_roc_auc": self.learnt.valid_roc_auc,
            "parameters": count_parameters(self.model),
            "seed": self.seed,
            "seeded": not isinstance(self.model, SelfFitting),
        }


def fit(
    plan: Plan, seed: int, train: Split, valid: Split, checkpoints: Path | None = None, exclusive: bool = False
) -> Fitted:
    """Train a network as planned and return it with its best weights.

    exclusive: the targets are exclusive classes, learnt with softmax and categorical cross-entropy. checkpoints: a
    folder for the state of the run. A killed run goes on from its last full epoch with bit-identical results, unless
    something that it depends on has changed. The folder stays; the caller deletes it by ``checkpoints.forget`` when the
    model is safe.

    Raises ConfigError if the network, its features or the batch do not fit, and DivergedError if a loss is not finite.
    """
    memory.keep()
    pl.seed_everything(seed, verbose=False)
    n_tags = len(train.tags)
    model = plan.build(n_tags, *train.features.shape[1:])
    if isinstance(model, SelfFitting):
        return Fitted(model, plan, seed, _fit_itself(plan, model, train, valid))
    assert plan.recipe is not None  # Plan.build sees to it
    plan.require_logits(model, train.features[:2, : plan.frames(train.features.shape[1])], n_tags)
    batch = plan.recipe.batch
    validation.require_batches(plan.where, model, batch, len(train.targets), distributed.processes())
    about = {"code": code_of(plan.family, exclusive), "network": json.dumps(plan.options, sort_keys=True)}
    task = Task(model, plan.recipe, seed, train, valid, exclusive, about, plan.where.partition(".")[2])
    try:
        return Fitted(model, plan, seed, gradient.train(task, checkpoints))
    except DivergedError as error:
        raise DivergedError(f"{plan.where}: {error}") from None


def _fit_itself(plan: Plan, model: nn.Module, train: Split, valid: Split) -> Learnt:
    """Let a network fit itself on whole clips. Raises ConfigError if its own code fails, or gives something else."""
    plan.require_logits(model, train.features[:2], len(train.tags))
    heard, judged = ((split.features, split.targets) for split in (train, valid))
    tried = plan.tried(model, heard, judged, macro_roc_auc)
    return Learnt([], 0, train.features.shape[1], 1, max(measure for _, measure in tried))


def saved_model(
    name: str, fitted: Fitted, valid: Split, standardizer: Standardizer, heard: Origin, exclusive: bool = False
) -> SavedModel:
    """Return what is kept of a training: the network, thresholds chosen on ``valid``, and how its input is made.

    standardizer: fitted on the training clips; ``valid`` is standardised by it. heard: where the features come from.
    """
    frames, dims = valid.features.shape[1:]
    plan = fitted.plan
    return SavedModel(
        experiment=name,
        network={"family": plan.family, "options": dict(plan.options)},
        frames=frames,
        dims=dims,
        network_frames=plan.frames(frames),
        representation=heard.representation,
        waveform=heard.waveform,
        tags=valid.tags,
        thresholds=(None,) * len(valid.tags) if exclusive else _thresholds(fitted, valid),
        standardizer=standardizer,
        exclusive=exclusive,
        training=fitted.summary,
        code={"train": code_of(plan.family, exclusive), "features": heard.code},
        makers=makers(),
        weights=fitted.model.state_dict(),
    )


def _thresholds(fitted: Fitted, valid: Split) -> tuple[float | None, ...]:
    """Return the score of each tag at which recall equals specificity on ``valid``, None if there is none."""
    learnt = fitted.learnt
    model = fitted.model.eval().to(devices.device())
    scores = scoring.score(model, valid.features, learnt.excerpt_frames, learnt.n_excerpts)
    model.cpu()
    clips, means = valid.by_clip(scores)
    found = equal_error_thresholds(means, clips.targets.numpy())
    return tuple(float(value) if np.isfinite(value) else None for value in found)


def train_experiment(
    params: Path, name: str, features: Path, labels: Path, standardizer: Path, checkpoints: Path, out: Path
) -> None:
    """Run the stage ``train``: train the experiment ``name`` from each of its seeds, and write models and curves.

    params: the path of params.yaml. checkpoints: where a killed run is resumed from. out: the folder of model and
    curves; if there are several seeds, those of each in its folder ``seed-<seed>``.

    Raises EarmarkError if a setting is wrong, or if the features were made with other settings.
    """
    config = validation.load(params)
    experiment = entry("experiments", config.experiments, name)
    validation.tell_changes(config, name)
    plan = plan_of(config, "experiments", name, experiment)
    heard = origin(features)
    require_settings(experiment.representation, config, features, heard)
    beside = distributed.on_this_machine()
    train, valid = dataset.load_splits(
        features, labels, standardizer, ("train", "valid"), told=f"train {name}", processes=beside
    )
    for seed, folder in model_folders(out, experiment.seeds).items():
        watch = progress.Stopwatch()
        fitted = fit(plan, seed, train, valid, checkpoints / f"seed-{seed}")
        if not distributed.is_main():
            continue
        saved = saved_model(name, fitted, valid, Standardizer.load(standardizer), heard)
        write_csv(folder / "curves.csv", CURVES, fitted.curves)
        saved.save(folder / FILE)
        epochs = len(fitted.curves)
        several = f" seed {seed}" if len(experiment.seeds) > 1 else ""
        told = f"{epochs} epochs, validation ROC-AUC {fitted.learnt.valid_roc_auc:.4f}"
        seen = len(train.clips) * max(1, epochs)
        watch.report(f"train {name}{several}", seen, told, epochs=epochs, device=saved.makers["device"])
    forget(checkpoints)


def require_settings(name: str, config: Config, features: Path, heard: Origin) -> None:
    """Raise ConfigError if features were made with other settings than those of a representation and its waveforms."""
    wanted = config.heard[name]
    rate, heard_by = wanted.rate, heard.representation
    ours, theirs = wanted.model_dump(mode="json"), heard_by.model_dump(mode="json")
    _require_same(f"representations.{name}", ours, theirs, name, features)
    ours, theirs = config.waveforms[rate].stored(rate), heard.waveform.stored(heard_by.rate)
    _require_same(f"waveforms.{rate}", ours, theirs, name, features)


def _require_same(section: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], name: str, features: Path) -> None:
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            raise ConfigError(
                f"{section}.{key} is {ours.get(key)!r}, but {features} was made with {theirs.get(key)!r}; run "
                f"`dvc repro features@{name}`"
            )


def code_of(family: str, exclusive: bool) -> str:
    """Return the digest of the code that trains a family: in crossvalidate if ``exclusive``, else in train."""
    return provenance.digest(f"{'crossvalidate' if exclusive else 'train'}-{family}")
