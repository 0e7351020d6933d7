"""What a training shows in a terminal: a bar inside the epoch, and a line when it has ended."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from earmark import progress
from earmark.training.tagger import CURVES, BestWeights


class Live(pl.Callback):
    """A callback that shows a training; it comes after the one that keeps its curves.

    name: of the training. epochs: the most that are trained. clock: returns seconds. Epochs count from 0, as in the
    curves and metrics.
    """

    def __init__(
        self, name: str, best: BestWeights, epochs: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.name, self.best, self.epochs, self.clock = name, best, epochs, clock
        self.seconds: list[float] = []  # of the epochs of this process
        self._start = 0.0
        self._bar: Any = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin a bar of the steps of the epoch, a batch each, those of its validation included."""
        self._start = self.clock()
        batches = int(trainer.num_training_batches) + sum(map(int, trainer.num_val_batches))
        epoch = trainer.current_epoch
        self._bar = progress.bar(batches, f"{self.name} epoch {epoch} of {self.epochs}", "step")

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the bar on."""
        self._bar.update()

    def on_validation_batch_end(self, *_: Any) -> None:
        """Move the bar on."""
        self._bar.update()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Put the line of the epoch in place of its bar."""
        self.seconds.append(self.clock() - self._start)
        self._bar.close()
        progress.line(self.text())

    def on_exception(self, *_: Any) -> None:
        """Take the bar away, so that what went wrong stands on a line of its own."""
        if self._bar is not None:
            self._bar.close()

    def text(self) -> str:
        """Return the line of the last epoch."""
        rows, digits = self.best.curves, len(str(self.epochs - 1))
        epoch, train, valid, auc = (rows[-1][CURVES.index(name)] for name in CURVES[:4])
        best = rows[self.best.epoch][CURVES.index("valid_roc_auc")]
        return (
            f"{self.name} epoch {int(epoch):>{digits}}: loss {train:.4f}, valid {valid:.4f}, ROC-AUC {auc:.4f}, "
            f"best {best:.4f} (epoch {self.best.epoch}), {self._rest(int(epoch))}"
        )

    def _rest(self, epoch: int) -> str:
        """Return how long the rest of the training takes, by the epochs so far; it may stop before."""
        left = self.epochs - 1 - epoch
        if self.best.stopped:
            return f"nothing better since epoch {self.best.epoch}: the end"
        return f"{progress.clock_time(left * statistics.median(self.seconds))} left" if left else "the end"
