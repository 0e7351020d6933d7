"""What a published system is in params.yaml: the values of its entries, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from earmark.config import Config, WaveformConfig
from earmark.experiments import Groups
from earmark.models import networks
from earmark.systems import published
from earmark.systems.recipes import RECIPES
from earmark.systems.system import LabelRule, System

Rule = Literal["published", "quick"]
Values = dict[str, Any]
SYNONYMS = "src/earmark/corpus/synonyms"
_WAVEFORMS = WaveformConfig(samples=1, dtype="int16", min_seconds=1.0, max_rejected=0.02)


def waveforms(rate: int, like: WaveformConfig | None = None) -> Values:
    """Return the entry of a sampling rate; what is not its length is as in the entry ``like``.

    It is as long as the longest input of that rate, so that no other system decodes the clips again.
    """
    longest = max(s.representation.n_samples for s in published.SYSTEMS.values() if s.representation.rate == rate)
    return (like or _WAVEFORMS).model_dump(mode="json", exclude_unset=True) | {"samples": longest}


def representation(system: System) -> Values:
    """Return the entry of what the system hears."""
    heard = system.representation
    return {"kind": heard.kind, "rate": heard.rate, "samples": heard.n_samples, **heard.options}


def labels(rule: LabelRule, config: Config | None = None) -> Values:
    """Return the entry of a set of tags, whose split is named if it is not the one of ``config``."""
    synonyms = "magnatagatune" if rule.merged else "none"
    values = {"top": rule.top, "clean": rule.clean, "synonyms": f"{SYNONYMS}/{synonyms}.yaml"}
    split = "corpus" if config is None else config.corpus.split
    return values if rule.split == split else values | {"split": rule.split}


def labels_name(rule: LabelRule) -> str:
    """Return what an entry of such tags is called.

    >>> labels_name(LabelRule(50, merged=True, clean=False, split="panwar-random"))
    'top50-merged-full-panwar-random'
    """
    parts = ["merged"] * rule.merged + ["full"] * (not rule.clean) + [rule.split] * (rule.split != "corpus")
    return "-".join([f"top{rule.top}", *parts])


def recipe_name(system: System, rule: Rule) -> str | None:
    """Return the name of its published or its quick recipe, None if the network fits itself."""
    return system.recipe if rule == "published" else system.quick


def recipe(name: str) -> Values:
    """Return the entry of a recipe, without what has its default."""
    return RECIPES[name].model_dump(mode="json", exclude_unset=True)


def network(system: System) -> Values:
    """Return the options of its network that have not their defaults."""
    defaults = networks.resolve(system.family, {})
    options = networks.resolve(system.family, system.options)
    return {key: value for key, value in options.items() if value != defaults[key]}


def experiment(
    system: System,
    name: str,
    representation: str,
    labels: str,
    recipe: str | None,
    classes: Sequence[str] = (),
    groups: Groups = "artist",
) -> Values:
    """Return the entry of ``experiments``, or of ``crossvalidations`` if the system tells ``classes`` apart.

    groups: what folds keep together. name: that of the entry; representation, labels, recipe: the entries that it
    names.
    """
    values: Values = {"representation": representation, "labels": labels, "model": system.family}
    values |= {"network": options} if (options := network(system)) else {}
    if recipe is not None:
        values |= {"recipe": recipe, **system.excerpts()}
        values |= {"seeds": [1]} if system.task == "tags" else {}
    values |= {"system": system.name} if name != system.name else {}
    return values | ({"classes": list(classes), "folds": 3, "groups": groups} if system.task == "classes" else {})
