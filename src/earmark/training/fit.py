"""Fit a system on cached features with Lightning: best weights by validation ROC-AUC, exact resume, curves."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
from torch import nn

from earmark import devices, progress, representations
from earmark.config import Config, ConfigError, ExperimentConfig, entry
from earmark.evaluation import scoring
from earmark.evaluation.metrics import equal_error_thresholds, macro_roc_auc
from earmark.features import dataset
from earmark.features.dataset import Batches, Origin, Split, origin
from earmark.features.standardize import Standardizer
from earmark.files import write_csv
from earmark.models import networks
from earmark.models.networks import SelfFitting
from earmark.models.saved import FILE, SavedModel
from earmark.storage import memory, provenance
from earmark.systems import published
from earmark.systems.published import System
from earmark.training import distributed, recipes, validation
from earmark.training.checkpoints import Keeper, find, forget, mark, misfit
from earmark.training.recipes import Recipe
from earmark.training.tagger import CURVES, STATE, BestWeights, DivergedError, Tagger


@dataclass(frozen=True)
class Fitted:
    """A trained model with the best weights in it, one row of CURVES per epoch, what it took, which system it is."""

    model: nn.Module
    curves: list[list[float]]
    summary: dict[str, Any]
    system: System


def fit(
    name: str,
    experiment: ExperimentConfig,
    train: Split,
    valid: Split,
    checkpoints: Path | None = None,
    exclusive: bool = False,
) -> Fitted:
    """Train the experiment ``name`` and return it with its best weights.

    ``exclusive``: the targets are classes, one a clip: softmax and categorical cross-entropy.

    ``checkpoints``: a folder for the state of this run; one that was killed goes on from its last full epoch, or with
    what it found, with bit-identical results, provided that nothing it depends on has changed. The folder stays, and
    goes by ``checkpoints.forget`` when the model is safe.
    """
    section: validation.Section = "crossvalidations" if exclusive else "experiments"
    system = validation.system_of(section, name, experiment)
    memory.keep()
    pl.seed_everything(experiment.seed, verbose=False)
    try:
        frames, dims = train.features.shape[1:]
        model = published.build(system.name, len(train.tags), published.network_frames(system, frames), dims)
    except ValueError as error:
        raise ConfigError(
            f"{section}.{name}.representation {experiment.representation!r} does not fit: {error}"
        ) from None
    if system.family == "linear":
        tried = cast(SelfFitting, model).fit(
            (train.features, train.targets), (valid.features, valid.targets), macro_roc_auc
        )
        best = max(auc for _, auc in tried)
        summary = {"epochs": 0, "best_epoch": 0, "excerpt_frames": frames, "excerpts": 1, "valid_roc_auc": best}
        curves: list[list[float]] = []
    else:
        recipe = recipe_of(system, experiment, frames)
        processes = distributed.processes()
        validation.require_batches(f"{section}.{name}", model, recipe.batch, len(train.targets), processes)
        n_excerpts = system.n_excerpts if system.n_excerpts > 1 else None
        about = {"code": code_of(system.family, exclusive), "system": repr(system)}
        try:
            curves, summary = _fit_by_gradient(
                model, recipe, n_excerpts, experiment.seed, train, valid, checkpoints, exclusive, about
            )
        except DivergedError as error:
            raise DivergedError(f"{section}.{name}: {error}") from None
    summary |= {"parameters": networks.count_parameters(model, system.counting)}
    return Fitted(model, curves, summary, system)


def saved_model(
    name: str, fitted: Fitted, valid: Split, standardizer: Standardizer, heard: Origin, exclusive: bool = False
) -> SavedModel:
    """What is kept of a training: the model with thresholds chosen on ``valid``, and all that its input depends on.

    standardizer: those of the training clips, by which ``valid`` is standardised. heard: where its features come from.
    """
    frames, dims = valid.features.shape[1:]
    system, summary = fitted.system, fitted.summary
    thresholds: list[float | None] = [None] * len(valid.tags)
    if not exclusive:
        judged = summary["excerpt_frames"], summary["excerpts"]
        whole, scores = valid.by_clip(scoring.score(fitted.model.eval(), valid.features, *judged))
        found = equal_error_thresholds(scores, whole.targets.numpy())
        thresholds = [float(value) if np.isfinite(value) else None for value in found]
    return SavedModel(
        experiment=name,
        system={"name": system.name, "family": system.family, "options": dict(system.options)},
        frames=frames,
        dims=dims,
        network_frames=published.network_frames(system, frames),
        representation=heard.representation,
        waveform=heard.waveform,
        tags=valid.tags,
        thresholds=tuple(thresholds),
        standardizer=standardizer,
        exclusive=exclusive,
        training=summary,
        code={"train": code_of(system.family, exclusive), "features": heard.code},
        makers=makers(),
        weights=fitted.model.state_dict(),
    )


def train_experiment(
    name: str, config: Config, features: Path, labels: Path, standardizer: Path, checkpoints: Path, out: Path
) -> None:
    """What the stage does for an experiment of params.yaml: train it, and write its model and its curves into ``out``.

    Raises EarmarkError where the features were made with other settings than those of params.yaml.
    """
    watch = progress.Stopwatch()
    experiment = entry("experiments", config.experiments, name)
    heard = origin(features)
    require_settings(experiment.representation, config, features, heard)
    train, valid = (dataset.load(features, labels, standardizer, split) for split in ("train", "valid"))
    fitted = fit(name, experiment, train, valid, checkpoints)
    if not distributed.is_main():
        return
    saved = saved_model(name, fitted, valid, Standardizer.load(standardizer), heard)
    write_csv(out / "curves.csv", CURVES, fitted.curves)
    saved.save(out / FILE)
    forget(checkpoints)
    epochs, auc = fitted.summary["epochs"], fitted.summary["valid_roc_auc"]
    seen = len(train.clips) * max(1, epochs)
    told = f"{epochs} epochs, validation ROC-AUC {auc:.4f}"
    watch.report(f"train {name}", seen, told, epochs=epochs, device=saved.makers["device"])


def require_settings(name: str, config: Config, features: Path, heard: Origin) -> None:
    """Refuse features that were made with other settings than those of representations.<name> and its waveforms."""
    wanted = representations.resolve(config.representations[name], name)
    rate = wanted.rate
    for section, ours, theirs in (
        (f"representations.{name}", wanted.model_dump(mode="json"), heard.representation.model_dump(mode="json")),
        (f"waveforms.{rate}", config.waveforms[rate].stored(rate), heard.waveform.stored(heard.representation.rate)),
    ):
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                raise ConfigError(
                    f"{section}.{key} is {ours.get(key)!r}, but {features} was made with {theirs.get(key)!r}; run "
                    f"`dvc repro features@{name}`"
                )


def code_of(family: str, exclusive: bool) -> str:
    """The digest of the code that trains a family: tags in the stage train, exclusive classes in crossvalidate."""
    return provenance.digest(f"{'crossvalidate' if exclusive else 'train'}-{family}")


def makers() -> dict[str, str]:
    """The libraries and the kind of device that a trained model's bytes depend on."""
    device = devices.kind(devices.device())
    return provenance.makers("numpy", "pytorch-lightning", "scikit-learn", "scipy", "torch", device=device)


def recipe_of(system: System, experiment: ExperimentConfig, frames: int) -> Recipe:
    """How a system is trained on clips of ``frames``: one published on pieces of a clip sees a piece at a time."""
    any_length = system.family == "recurrent" and not system.options.get("transposed", False)
    recipe = recipes.choose(system.training, experiment, any_length)
    return replace(recipe, excerpt=system.frames / frames) if system.n_excerpts > 1 else recipe


def _fit_by_gradient(
    model: nn.Module,
    recipe: Recipe,
    n_excerpts: int | None,
    seed: int,
    train: Split,
    valid: Split,
    folder: Path | None,
    exclusive: bool = False,
    about: Mapping[str, str] | None = None,
) -> tuple[list[list[float]], dict[str, Any]]:
    """Train, or go on where a killed run of the same mark was; ``about``: what else the result depends on."""
    tagger = Tagger(model, recipe, Batches(train, recipe.batch, seed, recipe.excerpt), valid, n_excerpts, exclusive)
    best = BestWeights(recipe, seed)
    callbacks: list[pl.Callback] = [best]
    found = None
    if folder is not None:
        depends = {
            "recipe": asdict(recipe), "seed": seed, "n_excerpts": n_excerpts, "exclusive": exclusive,
            "about": dict(about or {}), "makers": makers(), "processes": distributed.settings(),
        }  # fmt: skip
        place = folder / mark(train, valid, **depends)[:16]
        found = find(place, partial(_misfit, tagger, best))
        callbacks.append(Keeper(place, lambda t: best.stopped or t.current_epoch + 1 >= recipe.epochs, best.state_dict))
    if found is not None and found.finished:
        best.load_state_dict(dict(found.state))
    else:
        with _quiet():
            trainer = pl.Trainer(
                max_epochs=recipe.epochs,
                callbacks=callbacks,
                gradient_clip_val=recipe.clip_norm,
                enable_progress_bar=sys.stderr.isatty() and distributed.is_main(),
                enable_checkpointing=False,  # Lightning's own: they cannot say that a run is over
                enable_model_summary=False,
                logger=False,
                num_sanity_val_steps=0,
                **devices.lightning(devices.device()) | distributed.settings(),
            )
            resume = None if found is None else str(found.path)
            trainer.fit(tagger, tagger.batches, Batches(valid, 2 * recipe.batch), ckpt_path=resume, weights_only=False)
    model.cpu().load_state_dict(best.weights)
    return best.curves, {
        "epochs": len(best.curves),
        "best_epoch": best.epoch,
        "excerpt_frames": tagger.batches.frames,
        "excerpts": tagger.n_excerpts,
        "valid_roc_auc": best.curves[best.epoch][CURVES.index("valid_roc_auc")],
    }


def _misfit(tagger: Tagger, best: BestWeights, finished: bool, state: Mapping[str, Any]) -> str:
    """Why a checkpoint cannot be gone on from, or nothing."""
    judged = state if finished else state["callbacks"][best.state_key]
    if lacking := set(STATE) - set(judged):
        return f"it lacks {', '.join(sorted(lacking))}"
    here = tagger.model.state_dict()
    if finished:
        return misfit(here, judged["weights"])
    there = {name.removeprefix("model."): weights for name, weights in state["state_dict"].items()}
    return misfit(here, there) or misfit(here, judged["weights"])


class _quiet:  # noqa: N801 - a context manager, used like a function
    """Keep Lightning's greetings and its advice about loaders off the terminal."""

    def __enter__(self) -> None:
        self._log = logging.getLogger("pytorch_lightning")
        self._level = self._log.level
        self._log.setLevel(logging.WARNING)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")

    def __exit__(self, *error: object) -> None:
        self._warnings.__exit__(None, None, None)
        self._log.setLevel(self._level)
