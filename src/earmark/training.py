"""Fit a system on cached features with Lightning: best weights by validation ROC-AUC, exact resume, curves."""

from __future__ import annotations

import copy
import logging
import os
import shutil
import sys
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from earmark import memory, progress, provenance, schedules, systems
from earmark.config import ConfigError, ExperimentConfig
from earmark.dataset import Batches, Split
from earmark.evaluation import macro_roc_auc
from earmark.schedules import Rule
from earmark.scoring import excerpts, probabilities

CURVES = ("epoch", "train_loss", "valid_loss", "valid_roc_auc", "learning_rate")


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
    try:
        system = systems.get(experiment.system or name)
    except ValueError as error:
        raise ConfigError(f"experiments.{name}: {error}") from None
    if system.family != experiment.model:
        raise ConfigError(
            f"experiments.{name}.model must be {system.family!r}, the family of system {system.name!r}, got "
            f"{experiment.model!r}: the stage would not depend on the code that it runs"
        )
    memory.keep()
    pl.seed_everything(experiment.seed, verbose=False)
    try:
        frames, dims = train.features.shape[1:]
        model = systems.build(system.name, len(train.tags), systems.piece(system, frames), dims)
    except ValueError as error:
        raise ConfigError(
            f"experiments.{name}.representation {experiment.representation!r} does not fit: {error}"
        ) from None
    watch = progress.Stopwatch()
    if system.family == "linear":
        tried = cast(SelfFitting, model).fit((train.features, train.targets), (valid.features, valid.targets))
        best = max(auc for _, auc in tried)
        summary = {"epochs": 0, "best_epoch": 0, "excerpt_frames": frames, "excerpts": 1, "valid_roc_auc": best}
        curves: list[list[float]] = []
    else:
        any_length = system.family == "recurrent" and not system.options.get("transposed", False)
        rule = schedules.choose(system.training, experiment, any_length)
        number = None
        if system.segments > 1:
            rule, number = replace(rule, excerpt=system.frames / frames), system.segments
        curves, summary = _fit_by_gradient(model, rule, number, experiment.seed, train, valid, checkpoints, exclusive)
    seconds, parameters = round(watch.seconds(), 1), systems.count_parameters(model, system.counting)
    summary |= {"seconds": seconds, "parameters": parameters}
    return Fitted(model, curves, summary)


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
    accelerator = (os.environ.get("EARMARK_DEVICE") or "auto").split(":")[0]
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=rule.epochs,
            accelerator={"cuda": "gpu"}.get(accelerator, accelerator),
            devices=1,
            callbacks=[best, *keeper],
            gradient_clip_val=rule.clip_norm,
            enable_progress_bar=sys.stderr.isatty(),
            enable_checkpointing=bool(keeper),
            enable_model_summary=False,
            logger=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(tagger, tagger.batches, Batches(valid, 2 * rule.batch), ckpt_path=resume, weights_only=False)
    model.cpu().load_state_dict(best.weights)
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return best.curves, {
        "epochs": len(best.curves),
        "best_epoch": best.epoch,
        "excerpt_frames": tagger.batches.frames,
        "excerpts": tagger.excerpts,
        "valid_roc_auc": best.curves[best.epoch][CURVES.index("valid_roc_auc")],
    }


class Tagger(pl.LightningModule):
    """Cross-entropy over independent tags or exclusive classes; a Rule's learning rate is set before every batch."""

    def __init__(
        self,
        model: nn.Module,
        rule: Rule,
        batches: Batches,
        valid: Split,
        number: int | None = None,
        exclusive: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.rule, self.batches, self.valid, self.exclusive = model, rule, batches, valid, exclusive
        self.excerpts = number or excerpts(valid.features.shape[1], batches.frames)
        self.cuts = 0  # of the learning rate, by the two-level rule
        self.losses: list[Tensor] = []
        self.valid_losses: list[Tensor] = []
        self.scores: list[Tensor] = []
        self._factor = schedules.factor(rule, len(batches))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The rule's optimiser; its rate is set by ``on_train_batch_start``."""
        return schedules.optimizer(self.rule, self.model)

    def rate(self, batch: int) -> float:
        """The learning rate at a batch of the current epoch."""
        return self.rule.learning_rate * self._factor(self.current_epoch, batch, self.cuts)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Set the learning rate of this step."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate(batch_idx)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Mean cross-entropy of one batch."""
        features, targets = self._augmented(*batch)
        loss_of = F.cross_entropy if self.exclusive else F.binary_cross_entropy_with_logits
        loss = loss_of(self.model(features), targets)
        self.losses.append(loss.detach())
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Collect the probabilities of one batch."""
        features, targets = batch
        scores = probabilities(self.model, features, self.batches.frames, self.excerpts, self.exclusive)
        self.valid_losses.append(F.binary_cross_entropy(scores, targets.double(), reduction="none").mean(dim=1))
        self.scores.append(scores)

    def _augmented(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend and offset a batch as the rule says; drawn on the CPU, so that every device sees the same numbers."""
        if self.rule.mixup:
            weight = torch.distributions.Beta(self.rule.mixup, self.rule.mixup).sample((len(features), 1))
            weight = torch.maximum(weight, 1 - weight).to(features.device)
            partner = torch.randperm(len(features)).to(features.device)
            features = weight[..., None] * features + (1 - weight[..., None]) * features[partner]
            targets = weight * targets + (1 - weight) * targets[partner]
        if self.rule.jitter:
            offset = torch.randn(len(features), 1, features.shape[2]).to(features.device)
            features = features + self.rule.jitter * offset
        return features, targets


class BestWeights(pl.Callback):
    """Keep the weights of the best epoch, record the curves, stop or cut the rate when nothing gets better.

    Its state is part of a checkpoint, and every epoch draws its random numbers from (seed, epoch): so a resumed run is
    the same as an undisturbed one.
    """

    def __init__(self, rule: Rule, seed: int) -> None:
        self.rule, self.seed = rule, seed
        self.curves: list[list[float]] = []
        self.weights: dict[str, Tensor] = {}
        self.epoch = 0
        self._waiting_since = 0
        self._cuts = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed the epoch's dropout and order."""
        assert isinstance(pl_module, Tagger)
        torch.manual_seed(self.seed * 1_000_003 + trainer.current_epoch)
        pl_module.batches.start_epoch(trainer.current_epoch)
        pl_module.cuts = self._cuts

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the epoch."""
        assert isinstance(pl_module, Tagger)
        scores = torch.cat(pl_module.scores).cpu().numpy()
        train_loss = float(torch.stack(pl_module.losses).mean())
        valid_loss = float(torch.cat(pl_module.valid_losses).mean())
        auc = macro_roc_auc(scores, pl_module.valid.targets.numpy())
        for collected in (pl_module.scores, pl_module.losses, pl_module.valid_losses):
            collected.clear()
        epoch = trainer.current_epoch
        rate = pl_module.rate(0)
        row = [epoch, round(train_loss, 6), round(valid_loss, 6), round(auc, 6), float(f"{rate:.6g}")]
        two_level = self.rule.schedule == "two-level"
        column = CURVES.index("valid_loss" if two_level else "valid_roc_auc")
        improved = not self.curves or (
            row[column] < min(r[column] for r in self.curves)
            if two_level
            else row[column] > max(r[column] for r in self.curves)
        )
        self.curves.append(row)
        if improved:
            self.epoch, self._waiting_since = epoch, epoch
            self.weights = copy.deepcopy({k: v.detach().cpu() for k, v in pl_module.model.state_dict().items()})
        elif epoch - self._waiting_since >= self.rule.patience:
            self._waiting_since = epoch
            if two_level:
                self._cuts += 1
                pl_module.model.load_state_dict(self.weights)
            else:
                trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {k: getattr(self, k) for k in ("curves", "weights", "epoch", "_waiting_since", "_cuts")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a checkpoint's state."""
        for key, value in state_dict.items():
            setattr(self, key, value)


def _resumption(
    folder: Path | None, rule: Rule, seed: int, train: Split, valid: Split
) -> tuple[str | None, list[pl.Callback]]:
    """The checkpoint to go on from, if it belongs to this very run, and the callback that keeps one per epoch."""
    if folder is None:
        return None, []
    mark = provenance.fingerprint(
        rule=asdict(rule),
        seed=seed,
        code=provenance.code_version("earmark.training"),
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
