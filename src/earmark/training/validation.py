"""Check the settings of params.yaml as a whole, before anything is trained."""

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
from earmark.config import Config, ConfigError, LabelsConfig, RepresentationConfig
from earmark.experiments import ExperimentConfig
from earmark.files import write_json, write_text
from earmark.representations.base import Representation
from earmark.storage import memory
from earmark.systems.claims import changes, claimed
from earmark.training.plan import Plan, plan_of

T = TypeVar("T")
Section = Literal["experiments", "crossvalidations"]


def load(path: Path) -> Config:
    """Read params.yaml for a stage that trains or measures; every representation has all options of its kind.

    Raises ConfigError, which names all that is wrong with the options and the experiments.
    """
    found, resolved = _read(path, representations.resolve)
    parts = {key: {name: resolved[name] for name in getattr(found, key)} for key in ("representations", "encoders")}
    return found.model_copy(update=parts)


def judge(path: Path, out: Path) -> None:
    """Run the stage ``settings``: raise ConfigError if a setting is wrong, else write what the others depend on.

    DVC removes the outs of a stage before it runs it, so that a later stage would refuse a setting too late. In the
    folder ``out``, ``verdict`` always has the same text, so that an edit of params.yaml alone runs no other stage. A
    file per entry, ``experiments/<name>.json`` or ``crossvalidations/<name>.json``, holds the recipe that it names, so
    that a stage depends on the values of its own recipe and of no other.
    """
    config, _ = _read(path, _built)
    for section in get_args(Section):
        for name, entry in getattr(config, section).items():
            recipe = config.recipes.get(entry.recipe)
            named = None if recipe is None else recipe.model_dump(mode="json", exclude_unset=True)
            write_json(out / section / f"{name}.json", {"recipe": named})
    write_text(out / "verdict", "can be used\n")
    progress.say("settings", f"{path} can be used")


def require(config: Config) -> None:
    """Refuse representations that cannot be built, and experiments and cross-validations that cannot be trained.

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
    for name, representation in config.heard.items():
        with _told(wrong):
            found[name] = use(representation, name)
    for name, labels in config.labels.items():
        with _told(wrong):
            _require_split(config, name, labels)
    for section in get_args(Section):
        for name, experiment in getattr(config, section).items():
            with _told(wrong):
                _require_one(config, section, name, experiment, found.get(experiment.representation))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


def _require_split(config: Config, name: str, labels: LabelsConfig) -> None:
    """Refuse labels that want the corpus's own splits where the manifest holds those of another rule."""
    if labels.split == "corpus" != config.corpus.split:
        raise ConfigError(
            f"labels.{name}.split must be a rule that deals clips anew where corpus.split is {config.corpus.split!r}, "
            f"got 'corpus': the corpus's own splits are gone then; write `split: corpus` under corpus, and "
            f"`split: {config.corpus.split}` in the other entries of labels"
        )


@contextmanager
def _told(wrong: list[str]) -> Iterator[None]:
    """Append the text of a ConfigError, so that the others are found, too."""
    try:
        yield
    except ConfigError as error:
        wrong.append(str(error))


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


def _require_one(config: Config, section: Section, name: str, experiment: ExperimentConfig, heard: object) -> None:
    """Refuse an experiment whose network has no such options, has no recipe, or does not suit its input.

    heard: its representation, if that has been built; only then is the size of the input known.
    """
    plan = plan_of(config, section, name, experiment)
    system = claimed(name, experiment)
    if system is not None and system.task == "classes" and section == "experiments":
        raise ConfigError(
            f"{plan.where}: the system {system.name!r} tells exclusive classes apart, and experiments learn tags of "
            "which a clip may have several; its place is crossvalidations, with `classes` (docs/classification.md)"
        )
    if isinstance(heard, Representation):
        network = network_of(plan, heard)
        _require_memory(plan.where, network)
        if plan.recipe is not None:
            require_batches(plan.where, network, plan.recipe.batch)


def _require_memory(where: str, network: nn.Module) -> None:
    """Refuse a network whose weights, with their gradients and what an optimizer keeps, are more than is free."""
    weights = sum(weight.numel() for weight in network.parameters())
    if 16 * weights > (free := memory.available()):
        raise ConfigError(
            f"{where}.network has {weights:,} weights, which take {16 * weights / 1e9:.1f} GB to train, and "
            f"{free / 1e9:.1f} GB of memory are free; is a number of units or layers too large?"
        )


def network_of(plan: Plan, heard: Representation) -> nn.Module:
    """Return the network without any weights, which costs nothing; with them, if it cannot be built so."""
    try:
        with torch.device("meta"):
            return plan.build(2, heard.n_frames, heard.n_dims)
    except ConfigError as error:
        if error.__cause__ is None:
            raise
    # its own code fails: it may look at values, which were not there
    return plan.build(2, heard.n_frames, heard.n_dims)


def tell_changes(config: Config, name: str) -> None:
    """Print what an experiment has otherwise than the published system that it claims to be."""
    experiment = config.experiments[name]
    system = claimed(name, experiment)
    if system is None or system.recipe is None:  # a floor that fits itself is one for every input
        return
    if found := changes(system, experiment, config):
        progress.say(f"train {name}", f"{system.name}, changed: {'; '.join(found)}")
