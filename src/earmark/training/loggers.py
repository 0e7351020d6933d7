"""Where the curves of a training are shown while it runs: the loggers of Lightning that EARMARK_LOGGER names.

The curves that ``train`` writes stay the source of truth. A log is a copy for the eye: it holds times, so neither git
nor DVC looks at it, and no result depends on whether there is one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning import loggers as lightning
from pytorch_lightning.loggers import Logger

from earmark import progress
from earmark.errors import EarmarkError
from earmark.files import write_text
from earmark.training import distributed
from earmark.training.tagger import CURVES, BestWeights

VARIABLE = "EARMARK_LOGGER"


@dataclass(frozen=True)
class Run:
    """A training, as its logs call it.

    name: of the experiment. mark: the hash of everything that its result depends on. settings: what a log shows beside
    the curves. resumed: whether it goes on from a checkpoint.
    """

    name: str
    seed: int
    mark: str
    settings: Mapping[str, Any]
    resumed: bool

    @property
    def version(self) -> str:
        """Return what tells it from other runs of the experiment; it is the same when a killed run goes on."""
        return f"seed-{self.seed}-{self.mark[:8]}"

    def folder(self, kind: str) -> Path:
        """Return where a kind of logger writes."""
        return progress.logs() / kind / self.name / self.version


def _csv(run: Run, folder: Path) -> Logger:
    _delete(folder)
    return lightning.CSVLogger(folder.parents[1], run.name, run.version, flush_logs_every_n_steps=1)


def _tensorboard(run: Run, folder: Path) -> Logger:
    if not run.resumed:
        _delete(folder)
    return lightning.TensorBoardLogger(folder.parents[1], run.name, run.version, default_hp_metric=False)


def _wandb(run: Run, folder: Path) -> Logger:
    folder.mkdir(parents=True, exist_ok=True)
    name, project = f"{run.name} {run.version}", os.environ.get("WANDB_PROJECT") or "earmark"
    where = _known(run, folder) or uuid.uuid4().hex[:8]
    _remember(folder, where)
    return lightning.WandbLogger(name, folder, project=project, id=where)


def _mlflow(run: Run, folder: Path) -> Logger:
    logger = lightning.MLFlowLogger(
        os.environ.get("MLFLOW_EXPERIMENT_NAME") or "earmark",
        f"{run.name} {run.version}",
        os.environ.get("MLFLOW_TRACKING_URI") or (progress.logs() / "mlflow/mlruns").absolute().as_uri(),
        run_id=_known(run, folder),
    )
    if distributed.is_main():
        _remember(folder, str(logger.run_id))
    return logger


@dataclass(frozen=True)
class Kind:
    """A kind of logger: what opens it for a run and its folder, and whether it goes on in the log of a killed run.

    One that does not is given all epochs again.
    """

    open: Callable[[Run, Path], Logger]
    goes_on: bool = True


KINDS = {
    "csv": Kind(_csv, goes_on=False),
    "tensorboard": Kind(_tensorboard),
    "wandb": Kind(_wandb),
    "mlflow": Kind(_mlflow),
}


def _delete(folder: Path) -> None:
    """Delete a log that is begun anew, in one process alone."""
    if distributed.is_main():
        shutil.rmtree(folder, ignore_errors=True)


_ID = "run_id"  # the file that holds what a service calls the run


def _known(run: Run, folder: Path) -> str | None:
    """Return what a service calls a run that goes on, None if it begins."""
    file = folder / _ID
    return file.read_text(encoding="utf-8").strip() if run.resumed and file.is_file() else None


def _remember(folder: Path, name: str) -> None:
    if distributed.is_main():
        write_text(folder / _ID, name + "\n")


def chosen() -> list[str]:
    """Return the kinds that EARMARK_LOGGER names, separated by commas, each once; none if it is not set.

    Raises EarmarkError if there is no such kind.
    """
    names = [name.strip() for name in (os.environ.get(VARIABLE) or "").split(",")]
    kinds = list(dict.fromkeys(name for name in names if name))
    for kind in kinds:
        if kind not in KINDS:
            raise EarmarkError(f"{VARIABLE} must be one or more of {', '.join(KINDS)}, with commas, got {kind!r}")
    return kinds


@contextlib.contextmanager
def opened(run: Run) -> Iterator[dict[str, Logger]]:
    """Open the chosen loggers, by their kinds, with the settings of a run, and close them in the end.

    Raises EarmarkError if a package is missing, or if a logger cannot begin: its folder, or its service, says no.
    """
    found = {kind: _open(kind, run) for kind in chosen()}
    failed = True
    try:
        yield found
        failed = False
    finally:
        if "wandb" in found and distributed.is_main():  # the next training of this process is another run
            with contextlib.suppress(Exception):  # a service that does not answer has been told
                found["wandb"].experiment.finish(exit_code=int(failed))  # type: ignore[attr-defined]


def _open(kind: str, run: Run) -> Logger:
    try:
        logger = KINDS[kind].open(run, run.folder(kind))
        logger.log_hyperparams(dict(run.settings))
        logger.save()
    except ImportError as error:
        raise EarmarkError(
            f"{VARIABLE}={kind} needs a package that is not installed here: `pip install 'earmark[{kind}]'` ({error})"
        ) from None
    except Exception as error:  # a service has errors of its own: no key, no network
        raise EarmarkError(f"{VARIABLE}={kind} cannot begin a log: {error}; without it nothing is logged") from None
    return logger


class Publisher(pl.Callback):
    """A callback that hands the curves to the loggers, epoch by epoch; it comes after the one that keeps them.

    A logger that fails costs its log and a warning, but never the training.
    """

    def __init__(self, best: BestWeights, loggers: Mapping[str, Logger]) -> None:
        self.best, self.loggers = best, dict(loggers)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Write what a killed run has already learnt into the logs that begin anew."""
        for row in self.best.curves:
            self._publish(trainer, row, [kind for kind in self.loggers if not KINDS[kind].goes_on])

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Publish the epoch that has ended."""
        self._publish(trainer, self.best.curves[-1], list(self.loggers))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Close the loggers, before Lightning does so and fails where one of them fails."""
        for kind in list(self.loggers):
            self._try(trainer, kind, lambda logger: logger.finalize("success"))
        trainer.loggers = []

    def _publish(self, trainer: pl.Trainer, row: list[float], kinds: list[str]) -> None:
        epoch, *values = row
        named = dict(zip(CURVES[1:], values, strict=True))
        for kind in kinds:
            self._try(trainer, kind, lambda logger: logger.log_metrics(named, step=int(epoch)))

    def _try(self, trainer: pl.Trainer, kind: str, act: Callable[[Logger], None]) -> None:
        try:
            act(self.loggers[kind])
        except Exception as error:  # whatever a service raises
            lost = self.loggers.pop(kind)
            trainer.loggers = [logger for logger in trainer.loggers if logger is not lost]
            print(f"warning: {kind} logs no more of this training ({error})", file=sys.stderr)
