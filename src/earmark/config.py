"""The settings of params.yaml, one frozen model per section. They are validated once, when the file is loaded.

After that, values are trusted. Only what may change a result is a setting: device, workers and addresses are
``EARMARK_*`` environment variables, so that cached results stay valid on another machine.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from earmark import strict_yaml
from earmark.corpus_choices import FmaConfig, JamendoConfig, MirdataConfig
from earmark.experiments import CrossValidationConfig, ExperimentConfig, FusionConfig, Recipe
from earmark.sections import ConfigError as ConfigError
from earmark.sections import Name, Section, Seed, explain, near, one_of

T = TypeVar("T")
Positive = Annotated[int, Field(gt=0, lt=2**31)]
SplitPolicy = Literal["corpus", "artist", "song", "panwar-random"]


def _as_written(rate: object) -> object:
    """Return a sampling rate, which stands in commands and paths as it is written."""
    if not isinstance(rate, int | str) or not re.fullmatch("[1-9][0-9]*", str(rate)):
        raise ValueError(f"must be a sampling rate in digits, as 16000, got {rate!r}")
    return rate


Rate = Annotated[int, BeforeValidator(_as_written), Field(ge=1_000, le=192_000, description="samples per second")]


class DemoConfig(Section):
    """The demo corpus: the number of its clips, and the seed of its plan."""

    clips: int = Field(ge=320, le=600)
    seed: Seed


class CorpusConfig(Section):
    """The corpus: its kind, where its music and annotations lie, and how its clips are split.

    name: what reports call the corpus, if its kind does not say it.
    audio: the folder of the music. The kind ``demo`` renders its music there; other kinds find theirs there.
    annotations: for ``magnatagatune``, annotations_final.csv; for ``table``, a CSV with path and tags; for ``folders``,
    a folder that may hold artists.csv, train.txt, valid.txt and test.txt; for ``jamendo``, the data folder of the
    data set's repository; for ``fma``, the folder fma_metadata; for ``mirdata``, the data set's index, or its folder.
    split: ``corpus`` takes the corpus's own splits (MagnaTagATune's folders); ``artist`` and ``song`` keep the clips of
    an artist or a song together; ``panwar-random`` deals clips in the shares of Panwar et al., whatever their songs.
    shard_clips: the most clips of a shard. By default a folder is one, unless it is very large (``corpus.sharding``).
    """

    kind: str
    name: str | None = None
    audio: Path
    annotations: Path
    split: SplitPolicy = "corpus"
    seed: Seed = 1
    shard_clips: Annotated[int, Field(gt=1, lt=2**31)] | None = None
    jamendo: JamendoConfig = JamendoConfig()
    fma: FmaConfig = FmaConfig()
    mirdata: MirdataConfig | None = None
    demo: DemoConfig | None = None

    @field_validator("kind")
    @classmethod
    def _a_kind_is_a_file(cls, kind: str) -> str:
        return one_of("corpus.kinds", kind)

    @model_validator(mode="after")
    def _a_kind_that_needs_a_section_has_it(self) -> CorpusConfig:
        if self.kind == "demo" and self.demo is None:
            raise ValueError("kind: demo needs `demo: {clips: 576, seed: 2018}`, which says what is rendered; got none")
        if self.kind == "mirdata" and self.mirdata is None:
            raise ValueError("kind: mirdata needs `mirdata: {dataset: gtzan_genre, attribute: genre}`; got none")
        return self


class LabelsConfig(Section):
    """The tags that are learnt: the ``top`` most frequent ones.

    clean: whether clips without any of them are left out. synonyms: a YAML file with groups of tags, which are merged
    before the tags are counted. split: how these clips are dealt to the splits, if not as ``corpus.split`` says.
    """

    top: Positive
    clean: bool
    synonyms: Path
    split: SplitPolicy | None = None


class WaveformConfig(Section):
    """How clips are decoded to one rate.

    samples: the length of every decoded clip or segment. dtype: how samples are stored.
    policy: what is kept of a longer file; a shorter one is padded with zeros. ``pad`` keeps the beginning, ``center``
    the middle; ``segments`` cuts all of it into segments, which share its tags and song. Scores are averaged over them.
    segments: the number of segments of a longer file, evenly spaced; without it, they follow one another.
    min_seconds: shorter files are rejected. max_rejected: the stage fails if a larger share of the files is rejected.
    incomplete: what becomes of a file that is damaged or cut off: ``warn`` takes what is there, silence in the place of
    what is lost within it, and counts and lists the file; ``reject`` rejects it.
    """

    samples: Positive
    policy: Literal["pad", "center", "segments"] = "pad"
    segments: Annotated[int, Field(gt=0, le=10_000)] | None = None
    dtype: Literal["int16", "float32"] = "int16"
    min_seconds: float = Field(default=1.0, ge=0)
    max_rejected: float = Field(default=0.02, ge=0, le=1)
    incomplete: Literal["warn", "reject"] = "warn"

    @model_validator(mode="after")
    def _number_goes_with_the_policy(self) -> WaveformConfig:
        if self.segments is not None and self.policy != "segments":
            raise ValueError(f"segments goes with policy: segments, got {self.segments} with policy {self.policy!r}")
        return self

    def size(self, clips: int) -> int:
        """Return how many bytes the waveforms of so many files take; at least, if all of their segments are kept."""
        return clips * (self.segments or 1) * self.samples * (2 if self.dtype == "int16" else 4)

    def stored(self, rate: int) -> dict[str, Any]:
        """Return the settings that shards and models keep: all that change waveforms at ``rate`` Hz, ready for JSON."""
        return self.model_dump(mode="json", exclude={"max_rejected"}) | {"rate": rate}

    @classmethod
    def from_stored(cls, settings: Mapping[str, Any]) -> WaveformConfig:
        """Return the settings from what ``stored`` returned; ``max_rejected`` gets its default.

        Raises ValueError if ``settings`` are anything else.
        """
        kept = {k: v for k, v in settings.items() if k != "rate"} if isinstance(settings, Mapping) else settings
        return cls.model_validate(kept)


class RepresentationConfig(Section):
    """The settings of a representation.

    kind: the name of its transform. rate: that of its waveforms in Hz. samples: how many samples of a clip it takes.
    dtype: how features are stored; float16 takes half the space and keeps standardised values to 0.001.

    All other keys are options of the kind. Here they are kept as they are: the signature of the kind's transform
    declares them, and ``representations.resolve`` validates and completes them.
    """

    model_config = ConfigDict(extra="allow")

    kind: str
    rate: Rate
    samples: Positive
    dtype: Literal["float32", "float16"] = "float32"

    @field_validator("kind")
    @classmethod
    def _a_kind_is_a_file(cls, kind: str) -> str:
        return one_of("representations", kind)

    def options(self) -> dict[str, Any]:
        """Return the options of the kind: all keys but kind, rate, samples and dtype."""
        return dict(self.model_extra or {})

    def with_options(self, options: Mapping[str, Any]) -> RepresentationConfig:
        """Return these settings with other options of the kind."""
        common = self.model_dump(mode="json", include=set(RepresentationConfig.model_fields))
        return RepresentationConfig(**common, **options)


class EvaluationConfig(Section):
    """The bootstrap over songs: the number of resamples, and their seed."""

    resamples: Annotated[int, Field(gt=0, le=100_000)]
    seed: Seed


class Config(Section):
    """The whole of params.yaml."""

    corpus: CorpusConfig
    labels: dict[Name, LabelsConfig]
    waveforms: dict[Rate, WaveformConfig]
    representations: dict[Name, RepresentationConfig]
    encoders: dict[Name, RepresentationConfig] = {}  # noqa: RUF012 - pydantic copies defaults
    recipes: dict[Name, Recipe] = {}  # noqa: RUF012 - pydantic copies defaults
    experiments: dict[Name, ExperimentConfig]
    crossvalidations: dict[Name, CrossValidationConfig] = {}  # noqa: RUF012 - pydantic copies defaults
    fusions: dict[Name, FusionConfig] = {}  # noqa: RUF012 - pydantic copies defaults
    evaluation: EvaluationConfig

    @model_validator(mode="after")
    def _names_agree(self) -> Config:
        pairs: dict[str, tuple[str, str]] = {}
        for pair in itertools.product(self.heard, self.labels):
            if (other := pairs.setdefault("-".join(pair), pair)) != pair:
                raise ValueError(
                    f"labels.{pair[1]} must have another name: {'-'.join(pair)} would be the standardizer of "
                    f"representation {other[0]} on labels {other[1]}, and of {pair[0]} on {pair[1]}"
                )
        if both := [name for name in self.encoders if name in self.representations]:
            raise ValueError(f"encoders.{both[0]} must have another name: representations.{both[0]} is there, too")
        for section, heard in (("representations", self.representations), ("encoders", self.encoders)):
            for name, r in heard.items():
                if (r.kind == "encoder") != (section == "encoders"):
                    place = "encoders" if r.kind == "encoder" else "representations"
                    raise ValueError(f"{section}.{name}.kind must not be {r.kind!r} here: its place is `{place}`")
                if r.rate not in self.waveforms:
                    raise ValueError(
                        f"{section}.{name}.rate must be one of waveforms {sorted(self.waveforms)}, got {r.rate}"
                    )
                if r.samples > self.waveforms[r.rate].samples:
                    raise ValueError(
                        f"{section}.{name}.samples must be at most waveforms.{r.rate}.samples="
                        f"{self.waveforms[r.rate].samples}, got {r.samples}: clips are not decoded that far"
                    )
        for section, entries in (("experiments", self.experiments), ("crossvalidations", self.crossvalidations)):
            for name, e in entries.items():
                for key, known in (
                    ("representation", self.heard), ("labels", self.labels), ("recipe", self.recipes)
                ):  # fmt: skip
                    value = getattr(e, key)
                    if value is not None and value not in known:
                        raise ValueError(
                            f"{section}.{name}.{key} must be one of {', '.join(sorted(known)) or 'none'}, got "
                            f"{value!r}{near(value, known)}"
                        )
                self.recipe_of(e, section, name)
        return self

    @model_validator(mode="after")
    def _fusions_are_of_experiments_on_the_same_labels(self) -> Config:
        for name, fusion in self.fusions.items():
            if name in self.experiments:
                raise ValueError(f"fusions.{name} must have another name: experiments.{name} is there, too")
            for member in fusion.experiments:
                if member not in self.experiments:
                    raise ValueError(
                        f"fusions.{name}.experiments must be experiments, got {member!r}"
                        f"{near(member, self.experiments) or ': there are ' + ', '.join(self.experiments)}"
                    )
            of_labels = {member: self.experiments[member].labels for member in fusion.experiments}
            if len(set(of_labels.values())) > 1:
                told = ", ".join(f"{member} {labels}" for member, labels in of_labels.items())
                raise ValueError(f"fusions.{name}.experiments must have the same labels, got {told}: other tags")
        return self

    @property
    def heard(self) -> dict[str, RepresentationConfig]:
        """All that an experiment may name as its representation: ``representations`` and ``encoders``."""
        return self.representations | self.encoders

    def recipe_of(self, experiment: ExperimentConfig, section: str, name: str) -> Recipe | None:
        """Return the recipe of an experiment, with the values that it overrides; None if it has neither.

        section, name: where it stands, for errors. Raises ValueError if a value is missing or wrong.
        """
        named = self.recipes[experiment.recipe].model_dump() if experiment.recipe is not None else {}
        values = named | experiment.overrides()
        if not values:
            return None
        try:
            return Recipe.model_validate(values)
        except ValidationError as error:
            told = "; ".join(explain(e, "", section, name) for e in error.errors())
            raise ValueError(told + ("" if named else " (no `recipe` is named)")) from None


def load(path: Path) -> Config:
    """Return the settings of params.yaml, validated, except for the options of representations.

    Raises ConfigError if the file cannot be read, or if a key is wrong; it names every such key, its limit and value.
    """
    hint = ": run this in the root of the project, where params.yaml lies, or name another file with --params"
    try:
        content = strict_yaml.read(path, hint)
    except strict_yaml.YamlError as error:
        raise ConfigError(str(error)) from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise ConfigError(f"{path} must hold the sections {', '.join(Config.model_fields)}, got {found}")
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        hint = "a typing mistake, or a setting of another section"
        raise ConfigError("\n".join(f"{path}: {explain(e, hint)}" for e in error.errors())) from None


def entry(section: str, entries: Mapping[Any, T], name: object) -> T:
    """Return the entry of that name. Raises ConfigError, with similar names, if there is none.

    >>> entry("experiments", {"linear": 1, "crnn": 2}, "crnn")
    2
    """
    if name in entries:
        return entries[name]
    hint = near(name, entries) or f": there are {', '.join(map(str, entries)) or 'none'}"
    raise ConfigError(f"{section} of params.yaml has no {str(name)!r}{hint}")
