"""Check the settings of params.yaml against the published systems, before anything is trained."""

from __future__ import annotations

import sys
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
from earmark.representations.base import Representation
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
    """Run the stage ``settings``: raise ConfigError if a setting is wrong, else write into ``out`` that all is well.

    DVC removes the outs of a stage before it runs it, so that a later stage would refuse a setting too late. The text
    is always the same, so that an edit of params.yaml alone runs no other stage.
    """
    _read(path, _built)
    write_text(out, "can be used\n")
    progress.say("settings", f"{path} can be used")


def require(config: Config) -> None:
    """Refuse representations that cannot be built, experiments and cross-validations that no system can be trained as.

    The ConfigError names all of them.
    """
    _judged(config, _built)


def _read(path: Path, use: Callable[[RepresentationConfig, str], T]) -> tuple[Config, dict[str, T]]:
    """Read a file and judge it; the lines of an error begin with the file's name."""
    found = settings.load(path)
    try:
        return found, _judged(found, use)
    except ConfigError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from None


def _built(config: RepresentationConfig, name: str) -> Representation:
    """Build a representation, and print what it warns of; raise ConfigError if it cannot be built."""
    found = representations.of(config, name)
    if line := found.warning(name):
        print(line, file=sys.stderr)
    return found


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
    """Return the system that an entry of params.yaml trains.

    Raises ConfigError if there is no such system, if it is of another family, or if it belongs to the other section.
    """
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
    """Raise ConfigError if the network has batch norm and a process would see a single clip of a batch.

    where: the entry of params.yaml. clips: how many rows train, if that is known; they are dealt into batches of nearly
    equal size (``dataset.Batches``), whose smallest may lack one.
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
    """Tell whether anything in the network normalises by the clips of a batch."""
    kept = {name.rpartition(".")[2] for name, _ in network.named_buffers()}  # StepNorm is not an nn.BatchNorm
    return "running_mean" in kept or any(isinstance(module, _BatchNorm) for module in network.modules())


def _require_one(section: Section, name: str, experiment: ExperimentConfig) -> None:
    system = system_of(section, name, experiment)
    if system.training is None:  # the network fits itself, without batches
        return
    batch = recipes.choose(system.training, experiment).batch
    if batch < 2:
        with torch.device("meta"):  # without storage, so that it costs nothing
            network = published.build(system.name, 2)
        require_batches(f"{section}.{name}", network, batch)
