"""What is known of a published system: what it hears, its network, its recipe, its labels and the figures in print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from earmark.config import Config, RepresentationConfig, SplitPolicy
from earmark.corpus.labels import read_synonyms
from earmark.corpus.manifest import CorpusError
from earmark.experiments import Recipe
from earmark.systems.recipes import RECIPES


@dataclass(frozen=True)
class Input:
    """The representation that a system hears: its kind, sampling rate (Hz), samples per clip, and options.

    name: what an entry of ``representations`` with these settings is called, by default its kind.
    """

    kind: Literal["scattering", "mel", "cqt", "waveform", "joint"]
    rate: int
    n_samples: int
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def config(self) -> RepresentationConfig:
        """Return the same as an entry of ``representations`` in params.yaml; what is not set here has its default."""
        return RepresentationConfig(kind=self.kind, rate=self.rate, samples=self.n_samples, **self.options)


@dataclass(frozen=True)
class LabelRule:
    """The tags of a paper: the ``top`` most frequent ones of MagnaTagATune, raw, or merged with their synonyms.

    clean: whether clips without any of them are left out. split: how the clips are dealt to the splits.
    """

    top: int
    merged: bool
    clean: bool
    split: SplitPolicy

    @classmethod
    def of(cls, config: Config, name: str) -> LabelRule:
        """Return how an entry of ``labels`` makes its tags.

        Raises CorpusError if its synonyms cannot be read.
        """
        chosen = config.labels[name]
        split = chosen.split or config.corpus.split
        try:
            merged = bool(read_synonyms(chosen.synonyms))
        except CorpusError as error:
            raise CorpusError(f"labels.{name}: {error}") from None
        return cls(chosen.top, merged, chosen.clean, split)

    def __str__(self) -> str:
        merged, clean = "merged" if self.merged else "raw", "clean" if self.clean else "full"
        return f"top {self.top}, {merged}, {clean}, split {self.split}"


@dataclass(frozen=True)
class System:
    """A published system.

    family, options: the module of the network under ``earmark.models``, and the network's options. The network sees
    ``frames`` x ``dims`` at one time. If n_excerpts is above 1, it is trained on excerpts of a clip, with the clip's
    labels, and the clip's scores are the mean over so many excerpts; places: where these lie in training.

    any_length: the network reads any number of frames, one after another. takes_minutes: its own recipe takes a few
    minutes, and is its quick one.

    recipe: the name of its recipe in ``systems.recipes``, None if the network fits itself. parameters: their exact
    number for ``outputs`` tags or classes; if counting is "keras", it includes batch norm's running statistics, as
    Keras' summary does.
    printed: that number as the paper prints it, None if it does not. published: the figures that the paper prints.
    labels: the tags that they were measured on, None if the paper leaves that open.
    """

    name: str
    source: str
    family: str
    representation: Input
    frames: int
    dims: int
    recipe: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    task: Literal["tags", "classes"] = "tags"
    outputs: int = 50
    n_excerpts: int = 1
    places: Literal["random", "fixed"] = "random"
    any_length: bool = False
    takes_minutes: bool = False
    parameters: int | None = None
    counting: Literal["trainable", "keras"] = "trainable"
    printed: str | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    labels: LabelRule | None = None
    note: str = ""

    @property
    def quick(self) -> str | None:
        """The name of the recipe by which it learns in a few minutes."""
        if self.recipe is None or self.takes_minutes:
            return self.recipe
        return "quick-recurrent" if self.any_length else "quick"

    def recipe_of(self, published: bool) -> Recipe | None:
        """Return its ``published`` recipe, or the quick one, with its excerpts; None if the network fits itself."""
        name = self.recipe if published else self.quick
        return None if name is None else RECIPES[name].model_copy(update=self.excerpts())

    def excerpts(self) -> dict[str, Any]:
        """Return the values of a recipe that say which excerpts it was published on, none if it hears whole clips."""
        if self.n_excerpts == 1:
            return {}
        places = {} if self.places == "random" else {"places": self.places}
        return {"excerpt": self.frames, "excerpts": self.n_excerpts, **places}
