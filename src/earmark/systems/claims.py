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
    heard, theirs = config.representations[experiment.representation], system.representation.config()
    found = [f"kind {heard.kind}, not {theirs.kind}"]
    if heard.kind == theirs.kind:
        found = [*_differences(_flat(heard), _flat(theirs))]
    if experiment.model != system.family:
        return [*found, f"model {experiment.model}, not {system.family}"]
    found += _differences(*(networks.resolve(system.family, given) for given in (experiment.network, system.options)))
    recipe = config.recipe_of(experiment, "experiments", system.name)
    if system.n_excerpts > 1 and recipe is not None and recipe.excerpt != system.frames:
        found.append(f"excerpt {recipe.excerpt:g}, not {system.frames}")
    return found


def _flat(config: RepresentationConfig) -> dict[str, Any]:
    """Return all settings of a representation but its storage type."""
    return representations.resolve(config).model_dump(mode="json", exclude={"dtype"})


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``key ours, not theirs`` for each key that differs; a rare option that is not set has no value."""
    for key in dict.fromkeys((*theirs, *ours)):
        if ours.get(key) != theirs.get(key):
            yield f"{key} {ours.get(key)}, not {theirs.get(key)}"
