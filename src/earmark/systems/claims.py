"""What an experiment has otherwise than the published system that it claims to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from earmark import representations
from earmark.config import Config, ConfigError, RepresentationConfig
from earmark.experiments import ExperimentConfig
from earmark.models import networks
from earmark.systems import published
from earmark.systems.published import System


def claimed(name: str, experiment: ExperimentConfig) -> System | None:
    """Return the published system that an entry of params.yaml claims to be, by ``system`` or by its name.

    Raises ConfigError if ``system`` is none of them.
    """
    if experiment.system is None:
        return published.SYSTEMS.get(name)
    try:
        return published.get(experiment.system)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def changes(system: System, experiment: ExperimentConfig, config: Config) -> list[str]:
    """Return what is not as published: of the representation, of the network, and of its excerpts.

    config: the settings that the experiment stands in.
    """
    heard, theirs = config.heard[experiment.representation], system.representation.config()
    found = [f"kind {heard.kind}, not {theirs.kind}"]
    if heard.kind == theirs.kind:
        found = [*_differences(_flat(heard), _flat(theirs))]
    if experiment.model != system.family:
        return [*found, f"model {experiment.model}, not {system.family}"]
    found += _differences(*(networks.resolve(system.family, given) for given in (experiment.network, system.options)))
    recipe = config.recipe_of(experiment, "experiments", system.name)
    if recipe is None or (system.any_length and system.n_excerpts == 1):
        return found
    ours = {"excerpt": _number(recipe.excerpt), "excerpts": recipe.excerpts, "places": recipe.places}
    return [*found, *_differences(ours, {"excerpt": 1, "excerpts": None, "places": "random"} | system.excerpts())]


def _number(value: float) -> float:
    """Return a whole number as such.

    >>> _number(187.0), _number(0.25)
    (187, 0.25)
    """
    return int(value) if value == int(value) else value


def _flat(config: RepresentationConfig) -> dict[str, Any]:
    """Return all settings of a representation but its storage type; rare options, too, have their defaults."""
    found = representations.resolve(config).model_dump(mode="json", exclude={"dtype"})
    rare = {key: option.default for key, option in representations.options(config.kind).items() if key not in found}
    return found | rare


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``key ours, not theirs`` for each key that differs."""
    for key in dict.fromkeys((*theirs, *ours)):
        if ours.get(key) != theirs.get(key):
            yield f"{key} {ours.get(key)}, not {theirs.get(key)}"
