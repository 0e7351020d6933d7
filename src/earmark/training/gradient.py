"""Train a network by gradient steps with Lightning: best weights by validation ROC-AUC, exact resume, curves."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import nn

from earmark import devices, progress
from earmark.experiments import Recipe
from earmark.features import placing
from earmark.features.dataset import Batches, Split
from earmark.storage import provenance
from earmark.training import distributed, loggers
from earmark.training.checkpoints import Found, Keeper, find, mark, misfit
from earmark.training.live import Live
from earmark.training.tagger import CURVES, STATE, BestWeights, Tagger


@dataclass(frozen=True)
class Task:
    """A network to train, by which recipe, from which seed, on which clips.

    exclusive: the targets are exclusive classes. about: what else the result depends on, such as the code. name: what
    logs and the terminal call it; no result depends on that.
    """

    model: nn.Module
    recipe: Recipe
    seed: int
    train: Split
    valid: Split
    exclusive: bool = False
    about: Mapping[str, str] | None = None
    name: str = "training"

    def mark(self) -> str:
        """Return a hash of everything that the result depends on, the machine included."""
        return mark(
            self.train,
            self.valid,
            recipe=self.recipe.model_dump(mode="json"),
            seed=self.seed,
            exclusive=self.exclusive,
            about=dict(self.about or {}),
            makers=makers(),
            processes=distributed.settings(),
        )


@dataclass(frozen=True)
class Learnt:
    """What a training has found: a row of CURVES per epoch, the best epoch from 0, and how a clip is scored.

    excerpt_frames: how many frames the network sees at one time. n_excerpts: how many such excerpts of a clip are
    scored. valid_roc_auc: that of the best epoch.
    """

    curves: list[list[float]]
    best_epoch: int
    excerpt_frames: int
    n_excerpts: int
    valid_roc_auc: float


def makers() -> dict[str, str]:
    """Return the versions of the libraries, and the kind of device, on which a trained model's bytes depend."""
    device = devices.kind(devices.device())
    return provenance.makers("numpy", "pytorch-lightning", "scikit-learn", "scipy", "torch", device=device)


def train(task: Task, checkpoints: Path | None = None, watching: Sequence[pl.Callback] = ()) -> Learnt:
    """Train the network of a task, leave the best weights in it, and return what was found.

    checkpoints: a folder for the state of the run. If it holds the state of a killed run of the same task, training
    goes on from there, with the result of an undisturbed run. watching: what else is told of every step.

    Raises DivergedError if a loss is not finite, and EarmarkError if EARMARK_LOGGER names what cannot log.
    """
    recipe = task.recipe
    frames = recipe.frames(task.train.features.shape[1])
    places = recipe.excerpts if recipe.places == "fixed" else None
    shared = None if recipe.mixup else distributed.share
    batches = Batches(_placed(task.train), recipe.batch, task.seed, frames, places, shared)
    tagger = Tagger(task.model, recipe, batches, _placed(task.valid), task.exclusive)
    best = BestWeights(recipe, task.seed)
    mark = task.mark()
    folder = None if checkpoints is None else checkpoints / mark[:16]
    found = None if folder is None else find(folder, partial(_misfit, tagger, best))
    if found is not None and found.finished:
        best.load_state_dict(dict(found.state))
    else:
        settings = recipe.model_dump(mode="json") | {"seed": task.seed}
        with loggers.opened(loggers.Run(task.name, task.seed, mark, settings, found is not None)) as logs:
            _run(tagger, [*_callbacks(task.name, best, folder, logs), *watching], list(logs.values()), found)
    task.model.cpu().load_state_dict(best.weights)
    auc = best.curves[best.epoch][CURVES.index("valid_roc_auc")]
    return Learnt(best.curves, best.epoch, batches.frames, tagger.n_excerpts, auc)


def _placed(split: Split) -> Split:
    """Return a split with its features on the GPU that trains, if there is one and they fit."""
    device = devices.device()
    features = placing.resident(split.features, device, devices.free_bytes(device))
    return split if features is split.features else replace(split, features=features)


def _callbacks(name: str, best: BestWeights, folder: Path | None, logs: Mapping[str, Logger]) -> list[pl.Callback]:
    """Return what follows a training: the first one judges an epoch, the others show and keep what it has found."""
    found: list[pl.Callback] = [best]
    epochs = best.recipe.epochs
    if logs:
        found.append(loggers.Publisher(best, logs))
    if progress.in_terminal() and distributed.is_main():
        found.append(Live(f"{name} seed {best.seed}", best, epochs))
    if folder is not None:
        found.append(Keeper(folder, lambda t: best.stopped or t.current_epoch + 1 >= epochs, best.state_dict))
    return found


def _run(tagger: Tagger, callbacks: list[pl.Callback], logs: list[Logger], found: Found | None) -> None:
    """Let Lightning train, from the checkpoint ``found`` if there is one."""
    recipe = tagger.recipe
    with quiet(), _deterministic(recipe.deterministic):
        trainer = pl.Trainer(
            max_epochs=recipe.epochs,
            callbacks=callbacks,
            gradient_clip_val=recipe.clip_norm,
            enable_progress_bar=False,  # Live shows a bar, and a line per epoch
            enable_checkpointing=False,  # Lightning's own cannot say that a run is over
            enable_model_summary=False,
            logger=logs or False,
            num_sanity_val_steps=0,
            deterministic=recipe.deterministic,
            precision="bf16-mixed" if recipe.precision == "bfloat16" else "32-true",
            **devices.lightning(devices.device()) | distributed.settings(),
        )
        resume = None if found is None else str(found.path)
        valid = Batches(tagger.valid, 2 * recipe.batch)
        trainer.fit(tagger, tagger.batches, valid, ckpt_path=resume, weights_only=True)


def _misfit(tagger: Tagger, best: BestWeights, finished: bool, state: Mapping[str, Any]) -> str:
    """Return why training cannot go on from a checkpoint, or nothing."""
    kept = state if finished else state["callbacks"][best.state_key]
    if lacking := set(STATE) - set(kept):
        return f"it lacks {', '.join(sorted(lacking))}"
    here = tagger.model.state_dict()
    if finished:
        return misfit(here, kept["weights"])
    trained = {name: weights for name, weights in state["state_dict"].items() if name.startswith("model.")}
    there = {name.removeprefix("model."): weights for name, weights in trained.items()}
    return misfit(here, there) or misfit(here, kept["weights"])


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    """Let what Lightning asks of torch's operations end with a training, and be that of this training alone."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's greetings and its advice about loaders off the terminal."""
    log = logging.getLogger("pytorch_lightning")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")
            yield
    finally:
        log.setLevel(level)
