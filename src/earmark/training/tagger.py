"""What Lightning runs: the loss of a batch, the learning rate of a step, and the judgement of an epoch."""

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
from earmark.features.dataset import Batches, Split
from earmark.training import distributed, recipes
from earmark.training.recipes import Recipe


class DivergedError(EarmarkError):
    """Training that came to values that are no numbers; the text names the epoch and the learning rate."""


CURVES = ("epoch", "train_loss", "valid_loss", "valid_roc_auc", "learning_rate")


class ScoredBatch(NamedTuple):
    """The number of a validation batch in its epoch, its probabilities (clips, tags), and each clip's loss."""

    number: int
    scores: Tensor
    losses: Tensor


class Judgement(NamedTuple):
    """What an epoch reached."""

    train_loss: float
    valid_loss: float
    valid_roc_auc: float


class Tagger(pl.LightningModule):
    """Cross-entropy over independent tags or exclusive classes; a Recipe's learning rate is set before every batch."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        batches: Batches,
        valid: Split,
        n_excerpts: int | None = None,
        exclusive: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.batches, self.valid, self.exclusive = model, recipe, batches, valid, exclusive
        self.n_excerpts = n_excerpts or count_excerpts(valid.features.shape[1], batches.frames)
        self.cuts = 0  # of the learning rate, by the two-level recipe
        self.draws = np.random.default_rng()  # of the augmentation; the same in every process
        self.train_losses: list[Tensor] = []
        self.scored: list[ScoredBatch] = []
        self._factor = recipes.factor(recipe, len(batches))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimiser; its rate is set by ``on_train_batch_start``."""
        return recipes.optimizer(self.recipe, self.model)

    def rate(self, batch: int) -> float:
        """The learning rate at a batch of the current epoch."""
        return self.recipe.learning_rate * self._factor(self.current_epoch, batch, self.cuts)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Set the learning rate of this step."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate(batch_idx)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Mean cross-entropy of one batch, or of this process's share of it."""
        features, targets = self._augmented(*batch)
        features, targets, weight = distributed.shard_batch(features, targets)
        loss_of = F.cross_entropy if self.exclusive else F.binary_cross_entropy_with_logits
        loss: Tensor = weight * loss_of(self.model(features), targets)
        self.train_losses.append(loss.detach())
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Collect the probabilities of one batch; of several processes each takes its turn."""
        if not distributed.is_my_batch(batch_idx):
            return
        features, targets = batch
        scores = probabilities(self.model, features, self.batches.frames, self.n_excerpts, self.exclusive)
        losses = self._losses(scores, targets.double())
        self.scored.append(ScoredBatch(batch_idx, scores.cpu(), losses.cpu()))

    def _losses(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The cross-entropy of each clip, (clips,): what training minimises, of probabilities; NaN where these are."""
        if self.exclusive:
            return -(targets * scores.log().clamp(min=-100)).sum(dim=1)  # binary_cross_entropy's limit
        if not torch.isfinite(scores).all():  # a GPU would end the process for it
            return torch.full_like(scores[:, 0], torch.nan)
        return F.binary_cross_entropy(scores, targets, reduction="none").mean(dim=1)

    def judge(self) -> Judgement:
        """Training loss, validation loss and validation ROC-AUC of the epoch, the same in every process.

        Raises DivergedError where one of the losses is no finite number.
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
        return Judgement(train_loss, valid_loss, macro_roc_auc(means, valid.targets.numpy()))

    def _require_finite(self, what: str, loss: float) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                f"training diverged in epoch {self.current_epoch}: the {what} loss is {loss} at a learning rate of "
                f"{self.rate(0):.3g}; a smaller learning_rate may help, and features must be finite"
            )

    def _augmented(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend and offset a batch as the recipe says; drawn on the CPU, so that every device sees the same numbers."""
        clips, where = len(features), features.device
        if self.recipe.mixup:
            drawn = self.draws.beta(self.recipe.mixup, self.recipe.mixup, (clips, 1)).astype(np.float32)
            weight = torch.from_numpy(np.maximum(drawn, 1 - drawn)).to(where)
            partner = torch.from_numpy(self.draws.permutation(clips)).to(where)
            features = weight[..., None] * features + (1 - weight[..., None]) * features[partner]
            targets = weight * targets + (1 - weight) * targets[partner]
        if self.recipe.jitter:
            offset = torch.from_numpy(self.draws.standard_normal((clips, 1, features.shape[2]), np.float32)).to(where)
            features = features + self.recipe.jitter * offset
        return features, targets


STATE = ("curves", "weights", "epoch", "stopped", "_waiting_since", "_cuts")


class BestWeights(pl.Callback):
    """Keep the weights of the best epoch, record the curves, stop or cut the rate when nothing gets better.

    Its state is part of a checkpoint, and every epoch draws its random numbers from (seed, epoch): so a resumed run is
    the same as an undisturbed one. Where the rate is cut, training goes back to the best weights, and the optimiser
    forgets its momentum, which points to where it came from.
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
        """Seed the epoch's dropout and order."""
        assert isinstance(pl_module, Tagger)
        mark = self.seed * 1_000_003 + trainer.current_epoch
        torch.manual_seed(mark + 7_919 * trainer.global_rank)  # dropout differs from process to process
        pl_module.draws = np.random.default_rng(mark)
        pl_module.batches.start_epoch(trainer.current_epoch)
        pl_module.cuts = self._cuts

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the epoch."""
        assert isinstance(pl_module, Tagger)
        epoch, rate = trainer.current_epoch, pl_module.rate(0)
        row = [epoch, *(round(value, 6) for value in pl_module.judge()), float(f"{rate:.6g}")]
        improved = self._improves(row)
        self.curves.append(row)
        if improved:
            self.epoch, self._waiting_since = epoch, epoch
            self.weights = copy.deepcopy({k: v.detach().cpu() for k, v in pl_module.model.state_dict().items()})
        elif epoch - self._waiting_since >= self.recipe.patience:
            self._waiting_since = epoch
            self._give_up(trainer, pl_module)

    def _improves(self, row: list[float]) -> bool:
        """Whether an epoch is better than all before it, by what the recipe waits for: its loss, or its ROC-AUC."""
        two_level = self.recipe.schedule == "two-level"
        column = CURVES.index("valid_loss" if two_level else "valid_roc_auc")
        before = [earlier[column] for earlier in self.curves]
        if not before:
            return True
        return row[column] < min(before) if two_level else row[column] > max(before)

    def _give_up(self, trainer: pl.Trainer, tagger: Tagger) -> None:
        """Cut the rate and go back to the best weights, or stop, as the recipe says."""
        if self.recipe.schedule == "two-level":
            self._cuts += 1
            tagger.model.load_state_dict(self.weights)
            trainer.optimizers[0].state.clear()
        else:
            self.stopped = trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs; of a finished one, all that it found."""
        return {key: getattr(self, key) for key in STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a checkpoint's state."""
        for key, value in state_dict.items():
            setattr(self, key, value)
