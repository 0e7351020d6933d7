"""Plans of trainings without a params.yaml, and recipes of which only what matters is said."""

from __future__ import annotations

from typing import Any

from earmark.experiments import Recipe
from earmark.models import networks
from earmark.systems import published
from earmark.training.plan import Plan


def recipe(**values: Any) -> Recipe:
    """A short one."""
    common = {"optimizer": "adam", "learning_rate": 1e-3, "batch": 16, "epochs": 2, "patience": 5}
    return Recipe(**common | values)


def plan(family: str, options: dict[str, Any] | None = None, where: str = "experiments.x", **values: Any) -> Plan:
    """A plan with a short recipe; ``values`` are of the recipe."""
    return Plan(where, family, networks.resolve(family, options or {}), recipe(**values))


def plan_of_system(name: str, n_frames: int | None = None, **values: Any) -> Plan:
    """The plan of a published system by its quick recipe, on excerpts of ``n_frames`` where it hears excerpts."""
    system = published.get(name)
    found = system.recipe_of(published=False)
    if found is not None:
        excerpts = {} if n_frames is None or system.n_excerpts == 1 else {"excerpt": n_frames}
        found = found.model_copy(update=excerpts | values)
    return Plan(f"experiments.{name}", system.family, networks.resolve(system.family, system.options), found)
