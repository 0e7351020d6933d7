"""Fit a system on cached features with Lightning: best weights by validation ROC-AUC, exact resume, curves."""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from earmark import devices, distributed, memory, progress, provenance, schedules, systems, validation
from earmark.config import ConfigError, ExperimentConfig
from earmark.dataset import Batches, Split
from earmark.schedules import Rule
from earmark.systems import System
from earmark.tagger import CURVES, BestWeights, Tagger


class SelfFitting(Protocol):
    """A model that is not trained by gradient steps: it fits itself and returns the (setting, ROC-AUC) pairs tried."""

    def fit(self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]) -> list[tuple[float, float]]:
        """Fit on ``train``, choose settings on ``valid``; both (features, targets)."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A trained model with the best weights in it, one row of CURVES per epoch, and what it took."""

    model: nn.Module
    curves: list[list[float]]
    summary: dict[str, Any]


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

    ``checkpoints``: a folder for the state of an unfinished run; a run that was killed goes on from its last full epoch
    with bit-identical results, provided that nothing it depends on has changed.
    """
    section: validation.Section = "crossvalidations" if exclusive else "experiments"
    system = validation.system_of(section, name, experiment)
    memory.keep()
    pl.seed_everything(experiment.seed, verbose=False)
    try:
        frames, dims = train.features.shape[1:]
        model = systems.build(system.name, len(train.tags), systems.piece(system, frames), dims)
    except ValueError as error:
        raise ConfigError(
            f"{section}.{name}.representation {experiment.representation!r} does not fit: {error}"
        ) from None
    watch = progress.Stopwatch()
    if system.family == "linear":
        tried = cast(SelfFitting, model).fit((train.features, train.targets), (valid.features, valid.targets))
        best = max(auc for _, auc in tried)
        summary = {"epochs": 0, "best_epoch": 0, "excerpt_frames": frames, "excerpts": 1, "valid_roc_auc": best}
        curves: list[list[float]] = []
    else:
        rule = rule_of(system, experiment, frames)
        processes = distributed.processes()
        validation.require_batches(f"{section}.{name}", model, rule.batch, len(train.targets), processes)
        number = system.segments if system.segments > 1 else None
        curves, summary = _fit_by_gradient(model, rule, number, experiment.seed, train, valid, checkpoints, exclusive)
    seconds, parameters = round(watch.seconds(), 1), systems.count_parameters(model, system.counting)
    summary |= {"seconds": seconds, "parameters": parameters}
    return Fitted(model, curves, summary)


def rule_of(system: System, experiment: ExperimentConfig, frames: int) -> Rule:
    """How a system is trained on clips of ``frames``: one published on pieces of a clip sees a piece at a time."""
    any_length = system.family == "recurrent" and not system.options.get("transposed", False)
    rule = schedules.choose(system.training, experiment, any_length)
    return replace(rule, excerpt=system.frames / frames) if system.segments > 1 else rule


def _fit_by_gradient(
    model: nn.Module,
    rule: Rule,
    number: int | None,
    seed: int,
    train: Split,
    valid: Split,
    checkpoints: Path | None,
    exclusive: bool = False,
) -> tuple[list[list[float]], dict[str, Any]]:
    tagger = Tagger(model, rule, Batches(train, rule.batch, seed, rule.excerpt), valid, number, exclusive)
    best = BestWeights(rule, seed)
    resume, keeper = _resumption(checkpoints, rule, seed, train, valid)
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=rule.epochs,
            callbacks=[best, *keeper],
            gradient_clip_val=rule.clip_norm,
            enable_progress_bar=sys.stderr.isatty() and distributed.leads(),
            enable_checkpointing=bool(keeper),
            enable_model_summary=False,
            logger=False,
            num_sanity_val_steps=0,
            **devices.lightning(devices.device()) | distributed.settings(),
        )
        trainer.fit(tagger, tagger.batches, Batches(valid, 2 * rule.batch), ckpt_path=resume, weights_only=False)
    model.cpu().load_state_dict(best.weights)
    if checkpoints is not None and distributed.leads():
        shutil.rmtree(checkpoints, ignore_errors=True)
    return best.curves, {
        "epochs": len(best.curves),
        "best_epoch": best.epoch,
        "excerpt_frames": tagger.batches.frames,
        "excerpts": tagger.excerpts,
        "valid_roc_auc": best.curves[best.epoch][CURVES.index("valid_roc_auc")],
    }


def _resumption(
    folder: Path | None, rule: Rule, seed: int, train: Split, valid: Split
) -> tuple[str | None, list[pl.Callback]]:
    """The checkpoint to go on from, if it belongs to this very run, and the callback that keeps one per epoch."""
    if folder is None:
        return None, []
    mark = provenance.fingerprint(
        rule=asdict(rule),
        seed=seed,
        code=provenance.digest("report"),  # replaced by the training branch
        clips=[c.clip_id for split in (train, valid) for c in split.clips],
        sums=[float(t.double().sum()) for split in (train, valid) for t in (split.features, split.targets)],
    )
    folder = folder / mark[:16]
    for other in folder.parent.glob("*") if folder.parent.is_dir() else ():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    last = folder / "last.ckpt"
    keeper = pl.callbacks.ModelCheckpoint(
        dirpath=folder, filename="last", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
    )
    return (str(last) if last.is_file() else None), [keeper]


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


def save_state(model: nn.Module, path: Path) -> None:
    """Write the state dict beside ``path`` and rename it into place; the same weights give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    torch.save({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, temporary)
    temporary.replace(path)
