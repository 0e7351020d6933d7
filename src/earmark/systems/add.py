"""`earmark add`: write published systems into params.yaml, each with all that it needs, and touch nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig, entry
from earmark.experiments import CrossValidationConfig, ExperimentConfig, Groups
from earmark.models import networks
from earmark.systems import entries, published
from earmark.systems.claims import claimed
from earmark.systems.draft import Draft, Judge
from earmark.systems.entries import Rule
from earmark.systems.published import RAW
from earmark.systems.recipes import RECIPES
from earmark.systems.system import LabelRule, System


@dataclass(frozen=True)
class Wish:
    """How systems are added: by which recipe, under which name, on which labels, and which classes they tell apart.

    name: that of the entry, None for the system's. labels: an entry of ``labels``, None for one as in the paper.
    classes, groups: for systems of exclusive classes, and what their folds keep together.
    """

    rule: Rule = "published"
    name: str | None = None
    labels: str | None = None
    classes: Sequence[str] = ()
    groups: Groups = "artist"


def add(path: Path, names: Sequence[str], wish: Wish, judge: Judge, dry_run: bool = False) -> str:
    """Add published systems to params.yaml. Return what was added, a line each, and the command that trains them.

    judge: what refuses settings that cannot be used. dry_run: write nothing.

    Raises ConfigError, and leaves the file as it is, if a name is unknown or taken, if the file cannot be used as it
    stands, or if it could not be used afterwards.
    """
    systems = _chosen(names, wish)
    draft = Draft(path, judge)
    targets = [_add(draft, system, wish) for system in systems]
    draft.write(dry_run)
    done = "would be added" if dry_run else "added"
    head = f"{path}: {done}" if draft.changes else f"{path}: nothing to add, all of it is there"
    return "\n".join([head, *draft.told, f"To run: dvc repro {' '.join(targets)}"]) + "\n"


def _chosen(names: Sequence[str], wish: Wish) -> list[System]:
    try:
        systems = [published.get(name) for name in names]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if twice := [name for name, number in Counter(names).items() if number > 1]:
        raise ConfigError(f"{twice[0]} is named {names.count(twice[0])} times: one experiment is added once")
    if wish.name is not None and len(names) > 1:
        raise ConfigError(
            f"--name is the name of one experiment, got {wish.name!r} for {len(names)}: {', '.join(names)}"
        )
    exclusive = [system.name for system in systems if system.task == "classes"]
    if exclusive and not wish.classes:
        raise ConfigError(
            f"{exclusive[0]} tells exclusive classes apart and needs --classes, tags of the corpus such as "
            "--classes medieval,baroque,folk (docs/classification.md)"
        )
    if wish.groups != "artist" and not exclusive:
        raise ConfigError(f"--groups goes with systems of exclusive classes, which {', '.join(names)} are not")
    if wish.classes and not exclusive:
        raise ConfigError(f"--classes goes with systems of exclusive classes, which {', '.join(names)} are not")
    return systems


def _add(draft: Draft, system: System, wish: Wish) -> str:
    """Add one system with what it needs. Return the stage that its figures come from."""
    told = list(draft.told)
    labels = _labels(draft, system, wish.labels)
    heard = _representation(draft, system)
    section = "experiments" if system.task == "tags" else "crossvalidations"
    held: Mapping[str, ExperimentConfig] = getattr(draft.config, section)
    present = next((name for name in held if _same(draft, section, name, system, labels, wish)), None)
    if present is not None and wish.name in (None, present):
        draft.told[:] = told  # which labels it is on is no news
        draft.tell(f"{section}.{present} is there already")
        return _stage(section, present)
    if present is not None:
        raise ConfigError(
            f"{section}.{present} is the system {system.name} just as it would be added: it needs no second name"
        )
    if wish.name in held:
        raise ConfigError(f"{section}.{wish.name} is another experiment: choose another --name")
    name = wish.name or _free([system.name, f"{system.name}-{wish.rule}"], held)
    if wish.name is None and name != system.name:
        draft.tell(f"{section}.{system.name} stays as it is: it differs from what is added as {name}")
    recipe = _recipe(draft, entries.recipe_name(system, wish.rule))
    draft.put(section, name, entries.experiment(system, name, heard, labels, recipe, wish.classes, wish.groups))
    return _stage(section, name)


def _stage(section: str, name: str) -> str:
    return f"{'evaluate' if section == 'experiments' else 'crossvalidate'}@{name}"


def _labels(draft: Draft, system: System, named: str | None) -> str:
    """Return the entry of ``labels`` that the system learns: the one ``named``, one as in its paper, or the first.

    One as in the paper is added if there is none and the corpus is MagnaTagATune, whose tags the papers' rules are of.
    """
    config = draft.config
    if named is not None:
        entry("labels", config.labels, named)
    rules = {name: LabelRule.of(config, name) for name in config.labels}
    wanted = system.labels
    fitting = [name for name, rule in rules.items() if rule == wanted]
    if named is None and not fitting:
        mine = _attainable(draft, wanted)
        if mine is not None and (wanted is not None or not rules):
            name = _free([entries.labels_name(mine)], rules)
            draft.put("labels", name, entries.labels(mine, config))
            return name
    chosen = named or next(iter([*fitting, *rules]))
    differs = "" if wanted in (None, rules[chosen]) else f"; the paper's, of MagnaTagATune: {wanted}"
    draft.tell(f"labels.{chosen} is used: {rules[chosen]}{differs}")
    return chosen


def _attainable(draft: Draft, wanted: LabelRule | None) -> LabelRule | None:
    """Return the rule that may be added for the wanted one, None if that is no rule for this corpus."""
    corpus = draft.config.corpus
    if corpus.kind == "magnatagatune" and wanted is not None:
        return wanted if wanted.split != "corpus" or corpus.split == "corpus" else None
    return None if draft.config.labels else replace(RAW, split=corpus.split)


def _representation(draft: Draft, system: System) -> str:
    """Return the entry of ``representations`` that is just what the system hears; it is added if there is none."""
    settings = _resolved(system.representation.config())
    for name, held in draft.config.representations.items():
        if held.kind == settings["kind"] and _resolved(held) == settings:
            draft.tell(f"representations.{name} is used")
            return name
    heard = system.representation
    waveforms = draft.config.waveforms
    if heard.rate not in waveforms:
        draft.put("waveforms", heard.rate, entries.waveforms(heard.rate, next(iter(waveforms.values()), None)))
    elif waveforms[heard.rate].samples < heard.n_samples:
        draft.lengthen(heard.rate, entries.waveforms(heard.rate)["samples"])
    name = _free([heard.name or heard.kind], draft.config.representations)
    draft.put("representations", name, entries.representation(system))
    return name


def _recipe(draft: Draft, name: str | None) -> str | None:
    """Return the entry of ``recipes`` with the values of that recipe; it is added if there is none."""
    if name is None:
        return None
    held = draft.config.recipes
    values = RECIPES[name].model_dump()
    mine = next(each for each in _numbered([name]) if each not in held or held[each].model_dump() == values)
    if mine != name:
        draft.tell(f"recipes.{name} stays as it is: it is not the one of earmark.systems, {mine} is")
    if mine in held:
        draft.tell(f"recipes.{mine} is used")
    else:
        draft.put("recipes", mine, entries.recipe(name))
    return mine


def _same(draft: Draft, section: str, name: str, system: System, labels: str, wish: Wish) -> bool:
    """Tell whether an entry is what would be added, by whatever name and from whatever seeds."""
    held: ExperimentConfig = getattr(draft.config, section)[name]
    claim = claimed(name, held)
    if claim is None or claim.name != system.name or (held.model, held.labels) != (system.family, labels):
        return False
    if isinstance(held, CrossValidationConfig) and (held.classes, held.groups) != (tuple(wish.classes), wish.groups):
        return False
    recipe, wanted = draft.config.recipe_of(held, section, name), system.recipe_of(wish.rule == "published")
    return (
        _resolved(draft.config.heard[held.representation]) == _resolved(system.representation.config())
        and networks.resolve(system.family, held.network) == networks.resolve(system.family, system.options)
        and (None if recipe is None else recipe.model_dump()) == (None if wanted is None else wanted.model_dump())
    )


def _resolved(config: RepresentationConfig) -> dict[str, Any]:
    return representations.resolve(config).model_dump(mode="json")


def _free(names: Sequence[str], taken: Mapping[str, object]) -> str:
    """Return the first name that is not taken; the last one gets a number if all are."""
    return next(name for name in _numbered(names) if name not in taken)


def _numbered(names: Sequence[str]) -> Iterator[str]:
    yield from names
    yield from (f"{names[-1]}-{number}" for number in count(2))
