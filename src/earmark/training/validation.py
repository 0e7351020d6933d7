"""The settings of params.yaml against the published systems: what training or the report would find out too late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar, get_args

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from earmark import config as settings
from earmark import progress, representations
from earmark.config import Config, ConfigError, ExperimentConfig, RepresentationConfig
from earmark.files import write_text
from earmark.systems import published
from earmark.systems.published import System
from earmark.training import recipes

T = TypeVar("T")
Section = Literal["experiments", "crossvalidations"]


def load(path: Path) -> Config:
    """Read params.yaml for a stage that trains or measures; every representation has all options of its kind.

    Raises ConfigError, which names all that is wrong with the options and the experiments.
    """
    found, resolved = _read(path, representations.resolve)
    return found.model_copy(update={"representations": resolved})


def judge(path: Path, out: Path) -> None:
    """What the stage ``settings`` does: refuse what is wrong, or write into ``out`` that all can be used.

    DVC removes the outs of a stage before it runs it, so that a stage finds out too late that it must refuse. What is
    written is always the same: a setting that is accepted runs nothing by itself.
    """
    _read(path, representations.of)
    write_text(out, "can be used\n")
    progress.say("settings", f"{path} can be used")


def require(config: Config) -> None:
    """Refuse representations that cannot be built, experiments and cross-validations that no system can be trained as.

    The ConfigError names all of them.
    """
    _judged(config, representations.of)


def _read(path: Path, use: Callable[[RepresentationConfig, str], T]) -> tuple[Config, dict[str, T]]:
    """Read a file and judge it; the lines of an error begin with the file's name."""
    found = settings.load(path)
    try:
        return found, _judged(found, use)
    except ConfigError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def _judged(config: Config, use: Callable[[RepresentationConfig, str], T]) -> dict[str, T]:
    """Return what `use` makes of every representation; ConfigError if it, or an experiment, is refused."""
    wrong: list[str] = []
    found = {}
    for name, representation in config.representations.items():
        with _told(wrong):
            found[name] = use(representation, name)
    for section in get_args(Section):
        for name, experiment in getattr(config, section).items():
            with _told(wrong):
                _require_one(section, name, experiment)
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


@contextmanager
def _told(wrong: list[str]) -> Iterator[None]:
    """Append the text of a ConfigError, so that the others are found, too."""
    try:
        yield
    except ConfigError as error:
        wrong.append(str(error))


def system_of(section: Section, name: str, experiment: ExperimentConfig) -> System:
    """The system that an entry of params.yaml trains; ConfigError where it is none, or belongs elsewhere."""
    where = f"{section}.{name}"
    try:
        system = published.get(experiment.system or name)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    if system.task == "classes" and section == "experiments":
        raise ConfigError(
            f"{where}: the system {system.name!r} tells exclusive classes apart, and experiments learn tags of which a "
            "clip may have several; its place is crossvalidations, with `classes` (docs/classification.md)"
        )
    if system.family != experiment.model:
        raise ConfigError(
            f"{where}.model must be {system.family!r}, the family of system {system.name!r}, got "
            f"{experiment.model!r}: the stage would not depend on the code that it runs"
        )
    return system


def require_batches(where: str, network: nn.Module, batch: int, clips: int | None = None, processes: int = 1) -> None:
    """Refuse batches of which a process sees a single clip, where the network has batch norm.

    where: the entry of params.yaml. clips: how many rows train, where that is known: they are dealt to batches of
    nearly equal size (``dataset.Batches``), so that the smallest may lack one.
    """
    smallest = batch if clips is None else clips // -(-clips // batch)
    if smallest // processes >= 2 or not has_batch_norm(network):
        return
    dealt = "" if clips is None else f" for {clips} training clips, of which the smallest batch holds {smallest}"
    shared = "" if processes == 1 else f" on each of {processes} processes"
    raise ConfigError(
        f"{where}.batch must leave 2 clips or more in every batch{shared}, got {batch}{dealt}: the network has batch "
        "norm, and a single clip has no deviation"
    )


def has_batch_norm(network: nn.Module) -> bool:
    """Whether anything in the network normalises by the clips of a batch."""
    kept = {name.rpartition(".")[2] for name, _ in network.named_buffers()}  # StepNorm is no nn.BatchNorm
    return "running_mean" in kept or any(isinstance(module, _BatchNorm) for module in network.modules())


def _require_one(section: Section, name: str, experiment: ExperimentConfig) -> None:
    system = system_of(section, name, experiment)
    if system.training == "none":  # it fits itself, without batches
        return
    batch = recipes.choose(system.training, experiment).batch
    if batch < 2:
        with torch.device("meta"):  # without storage, so that it costs nothing
            network = published.build(system.name, 2)
        require_batches(f"{section}.{name}", network, batch)
