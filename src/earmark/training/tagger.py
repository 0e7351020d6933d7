"""What Lightning runs: the loss of a batch, the learning rate of a step, the judgement of an epoch."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from earmark.errors import EarmarkError
from earmark.evaluation.metrics import macro_roc_auc
from earmark.evaluation.scoring import count_excerpts, probabilities
from earmark.experiments import Recipe
from earmark.features.dataset import Batches, Split
from earmark.training import distributed, recipes


class DivergedError(EarmarkError):
    """The loss is no longer a finite number; the text names the epoch and the learning rate."""


CURVES = ("epoch", "train_loss", "valid_loss", "valid_roc_auc", "learning_rate")


class ScoredBatch(NamedTuple):
    """A validation batch: its number in the epoch, its probabilities (clips, tags) and its losses (clips,)."""

    number: int
    scores: Tensor
    losses: Tensor


class Judgement(NamedTuple):
    """What an epoch has reached."""

    train_loss: float
    valid_loss: float
    valid_roc_auc: float


class Tagger(pl.LightningModule):
    """A network with what Lightning needs to train it by a recipe.

    The loss is the cross-entropy of independent tags, or of exclusive classes if ``exclusive``. What is scored is
    ``scored_model``: the network, or the mean of its past weights if the recipe asks for one.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        batches: Batches,
        valid: Split,
        exclusive: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.batches, self.valid, self.exclusive = model, recipe, batches, valid, exclusive
        self.n_excerpts = recipe.excerpts or count_excerpts(valid.features.shape[1], batches.frames)
        self.averaged = recipes.averaged(recipe, model)
        self.cuts = 0  # of the learning rate, by a two-level recipe
        self.switched = False  # from Adam to SGD
        self.draws = np.random.default_rng()  # of the augmentation; the same in every process
        self.train_losses: list[Tensor] = []
        self.scored: list[ScoredBatch] = []
        self._factor = recipes.factor(recipe, len(batches))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimizer; ``on_train_batch_start`` sets its rate."""
        return recipes.optimizer(self.recipe, self.model, self.switched)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep which optimizer the state is of."""
        checkpoint["switched"] = self.switched

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a resumed run have the optimizer that it was stopped with."""
        self.switched = checkpoint["switched"]

    @property
    def scored_model(self) -> nn.Module:
        """The network that is scored and kept."""
        return self.model if self.averaged is None else self.averaged.module

    def rate(self, batch: int) -> float:
        """Return the learning rate at a batch of the current epoch."""
        return self.recipe.learning_rate * self._factor(self.current_epoch, batch, self.cuts)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Set the learning rate of this step."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate(batch_idx)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of a batch, or of the rows that this process takes of it."""
        clips = self.batches.clips(batch_idx)
        features, targets = recipes.augment(self.recipe, *batch, self.draws, clips, distributed.share())
        weight = distributed.weight_of_share(clips)
        if self.recipe.label_smoothing:
            middle = 1 / targets.shape[1] if self.exclusive else 0.5
            targets = torch.lerp(targets, torch.full_like(targets, middle), self.recipe.label_smoothing)
        loss = weight * recipes.loss(self.model(features), targets, self.exclusive)
        self.train_losses.append(loss.detach())
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Take the weights of this step into their mean."""
        late = self.current_epoch >= self.recipe.swa_start * self.recipe.epochs
        if self.averaged is not None and (self.recipe.average == "ema" or late):
            self.averaged.update_parameters(self.model)

    def on_validation_epoch_start(self) -> None:
        """Let the mean of weights follow them as long as it has not begun."""
        if self.averaged is not None and not int(self.averaged.n_averaged):
            self.averaged.module.load_state_dict(self.model.state_dict())

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Score a batch and keep its probabilities; several processes take the batches in turn."""
        if not distributed.is_my_batch(batch_idx):
            return
        features, targets = batch
        scores = probabilities(self.scored_model, features, self.batches.frames, self.n_excerpts, self.exclusive)
        losses = self._losses(scores, targets.double())
        self.scored.append(ScoredBatch(batch_idx, scores.cpu(), losses.cpu()))

    def _losses(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of each clip, (clips,), of probabilities; NaN if one of them is not finite."""
        if self.exclusive:
            return -(targets * scores.log().clamp(min=-100)).sum(dim=1)  # the limit of binary_cross_entropy
        if not torch.isfinite(scores).all():  # on a GPU binary_cross_entropy would end the process
            return torch.full_like(scores[:, 0], torch.nan)
        return F.binary_cross_entropy(scores, targets, reduction="none").mean(dim=1)

    def judge(self) -> Judgement:
        """Return the losses and the validation ROC-AUC of the epoch, the same in every process.

        Raises DivergedError if a loss is not finite.
        """
        scored = sorted(distributed.gather(self.scored), key=lambda batch: batch.number)
        scores = torch.cat([batch.scores for batch in scored])
        train_loss = float(np.mean(distributed.gather([float(torch.stack(self.train_losses).mean())])))
        valid_loss = float(torch.cat([batch.losses for batch in scored]).mean())
        self.train_losses.clear()
        self.scored.clear()
        self._require_finite("training", train_loss)
        self._require_finite("validation", valid_loss)
        valid, means = self.valid.by_clip(scores.numpy())
        return Judgement(train_loss, valid_loss, float(macro_roc_auc(means, valid.targets.numpy())))

    def _require_finite(self, what: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                f"training diverged in epoch {self.current_epoch}: the {what} loss is {loss} at a learning rate of "
                f"{self.rate(0):.3g}; a smaller learning_rate may help, and features must be finite"
            )


STATE = ("curves", "weights", "epoch", "stopped", "_waiting_since", "_cuts")


class BestWeights(pl.Callback):
    """A callback that keeps weights and curves, and stops, or cuts the rate, if nothing gets better.

    The weights are the best ones, or the last ones if the recipe says so. Its state is part of a checkpoint, and the
    random numbers of an epoch depend on (seed, epoch) alone; so a resumed run gives the same result as an undisturbed
    one. When the rate is cut, training goes back to the best weights, and the optimizer forgets its momentum, which
    belongs to the weights that are given up.
    """

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed
        self.curves: list[list[float]] = []
        self.weights: dict[str, Tensor] = {}
        self.epoch = 0
        self.stopped = False
        self._waiting_since = 0
        self._cuts = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed the epoch's dropout, augmentation and order."""
        assert isinstance(pl_module, Tagger)
        mark = self.seed * 1_000_003 + trainer.current_epoch
        torch.manual_seed(mark + 7_919 * trainer.global_rank)  # dropout differs from process to process
        pl_module.draws = np.random.default_rng(mark)
        pl_module.batches.start_epoch(trainer.current_epoch)
        pl_module.cuts = self._cuts
        if self.recipe.switch is not None and trainer.current_epoch >= self.recipe.switch and not pl_module.switched:
            self._switch(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch, keep its weights if it is the best, and give up if the patience is used up."""
        assert isinstance(pl_module, Tagger)
        epoch, rate = trainer.current_epoch, pl_module.rate(0)
        row = [epoch, *(round(value, 6) for value in pl_module.judge()), float(f"{rate:.6g}")]
        improved = self._improves(row)
        self.curves.append(row)
        if improved:
            self.epoch, self._waiting_since = epoch, epoch
            self.weights = copy.deepcopy({k: v.detach().cpu() for k, v in pl_module.scored_model.state_dict().items()})
        elif epoch - self._waiting_since >= self.recipe.patience:
            self._waiting_since = epoch
            self._give_up(trainer, pl_module)

    def _improves(self, row: list[float]) -> bool:
        """Tell whether an epoch is better than all before it: by its loss for a two-level recipe, else by ROC-AUC."""
        two_level = self.recipe.two_level
        column = CURVES.index("valid_loss" if two_level else "valid_roc_auc")
        before = [earlier[column] for earlier in self.curves]
        if not before or self.recipe.weights == "last":
            return True
        return row[column] < min(before) if two_level else row[column] > max(before)

    def _give_up(self, trainer: pl.Trainer, tagger: Tagger) -> None:
        """Cut the rate and go back to the best weights if the recipe has two levels, else stop."""
        if self.recipe.two_level:
            self._cuts += 1
            tagger.model.load_state_dict(self.weights)
            trainer.optimizers[0].state.clear()
        else:
            self.stopped = trainer.should_stop = True

    def _switch(self, trainer: pl.Trainer, tagger: Tagger) -> None:
        """Go on from the best weights with SGD in place of Adam."""
        tagger.switched = True
        tagger.model.load_state_dict(self.weights)
        trainer.optimizers = [tagger.configure_optimizers()]

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs, which is also all that a finished run has found."""
        return {key: getattr(self, key) for key in STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        for key, value in state_dict.items():
            setattr(self, key, value)
