"""What is trained, and how: ``recipes``, ``experiments``, ``crossvalidations`` and ``fusions`` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from earmark.sections import Section, Seed, near, one_of

Count = Annotated[int, Field(gt=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Groups = Literal["artist", "song"]
LEAST_WEIGHT = 1e-6  # with extreme weights a mean would overflow, or be of no digits


class Recipe(Section):
    """How a network is trained.

    optimizer: ``adamw`` decays weights apart from the gradient (Loshchilov and Hutter 2019), the others add
    ``weight_decay`` times the weights to it; ``sgd`` has ``momentum``.
    learning_rate: the highest one. schedule: what becomes of it.
        ``constant``: nothing.
        ``exponential``: times ``decay`` after every epoch.
        ``two-level``: 1 / (1 + ``local_decay`` i) at step i of an epoch; after ``patience`` epochs without a lower
        validation loss back to the best weights, and times ``decay`` (Dalla Longa et al., section 4).
        ``two-level-printed``: their two equations as assignments, each of which takes the rate that the last one left:
        the product of 1 / (1 + ``local_decay`` j) up to step i, and ``decay`` to the power of 1 + 2 + ... + cuts.
        ``warm-cosine``: a linear rise in the first epoch, then half a cosine down to zero.
        ``one-cycle``: up from 1/25 for three tenths of all steps, then down to 1/250,000 (Smith and Topin 2018).
        ``adam-then-sgd``: after ``switch`` epochs back to the best weights, and SGD with Nesterov momentum at
        ``sgd_learning_rate``, times ``decay`` after every ``cut_every`` epochs (Won et al. 2020).
    batch: clips per step. epochs: the most that are trained. patience: how many epochs may pass without a higher
    validation ROC-AUC before training stops, or the rate of a two-level schedule is cut.
    clip_norm: the largest norm of the gradient.
    excerpt: what a training step sees of a clip: a share of its frames, or a number of frames above 1. A clip's scores
    are then the mean over ``excerpts`` of that length, evenly spaced; by default as many as overlap by half.
    places: ``random`` excerpts, or the ``fixed`` ones that are scored.
    mixup: clips are blended in pairs, with weights from Beta(mixup, mixup) (Zhang et al. 2018). jitter: the standard
    deviation of a random offset per clip and dimension, in standardised units.
    masks: how many stretches of frames, and of dimensions, are set to zero per clip; mask_frames, mask_dims: the
    longest such stretch as a share (SpecAugment, Park et al. 2019). label_smoothing: targets move so far to their
    middle.
    precision: of what a step computes, ``float32``, or ``bfloat16`` where that suffices (autocast); weights and their
    optimizer are float32 either way.
    deterministic: no operation of a GPU adds in an order that chance decides; one that has no other way is an error,
    and the others may be slower. A CPU has none such.
    weights: of which epoch they are kept, the ``best`` one on the validation split, or the ``last``, before which
    training then does not stop; few validation clips choose an epoch by chance.
    average: the weights that are scored are a mean of those of past steps: ``ema``, exponential with ``ema_decay``, or
    ``swa``, the plain one over the steps after the share ``swa_start`` of all epochs (Izmailov et al. 2018).
    """

    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: Positive
    schedule: Literal[
        "constant", "exponential", "two-level", "two-level-printed", "warm-cosine", "one-cycle", "adam-then-sgd"
    ] = "constant"
    batch: Count
    epochs: Count
    patience: Count
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    local_decay: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NotNegative = 0.0
    clip_norm: Positive | None = None
    switch: Count | None = None
    sgd_learning_rate: Positive | None = None
    cut_every: Count | None = None
    excerpt: Annotated[float, Field(gt=0, lt=2**31)] = 1.0
    excerpts: Annotated[int, Field(gt=0, le=10_000)] | None = None
    places: Literal["random", "fixed"] = "random"
    mixup: NotNegative = 0.0
    jitter: NotNegative = 0.0
    masks: Annotated[int, Field(ge=0, lt=2**10)] = 0
    mask_frames: Share = 0.0
    mask_dims: Share = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    deterministic: bool = False
    weights: Literal["best", "last"] = "best"
    average: Literal["none", "ema", "swa"] = "none"
    ema_decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    swa_start: Annotated[float, Field(ge=0, lt=1)] = 0.75

    @model_validator(mode="after")
    def _values_agree(self) -> Recipe:
        of_sgd = ("switch", "sgd_learning_rate", "cut_every")
        given = [key for key in of_sgd if getattr(self, key) is not None]
        if self.schedule == "adam-then-sgd" and len(given) < len(of_sgd):
            lacking = next(key for key in of_sgd if key not in given)
            raise ValueError(f"schedule: adam-then-sgd needs {lacking}, got none")
        if self.schedule != "adam-then-sgd" and given:
            raise ValueError(f"{given[0]} goes with schedule: adam-then-sgd, got {self.schedule!r}")
        if self.schedule == "adam-then-sgd" and self.optimizer == "sgd":
            raise ValueError("schedule: adam-then-sgd begins with optimizer: adam or adamw, got 'sgd'")
        if self.schedule == "adam-then-sgd" and not self.momentum:
            raise ValueError("momentum must be above 0 with schedule: adam-then-sgd, whose SGD is Nesterov's, got 0")
        if self.switch is not None and self.switch >= self.epochs:
            raise ValueError(f"switch must be below epochs={self.epochs}, got {self.switch}: SGD would never begin")
        if bool(self.masks) != bool(self.mask_frames or self.mask_dims):
            raise ValueError(
                "masks goes with mask_frames or mask_dims above 0, the longest masks as a share, got "
                f"masks {self.masks}, mask_frames {self.mask_frames:g} and mask_dims {self.mask_dims:g}"
            )
        if self.excerpt > 1 and self.excerpt != int(self.excerpt):
            raise ValueError(f"excerpt must be a share up to 1 or a whole number of frames, got {self.excerpt:g}")
        if self.weights == "last" and (self.two_level or self.schedule == "adam-then-sgd"):
            raise ValueError(
                f"weights: last does not go with schedule: {self.schedule}, which goes back to the best ones"
            )
        if self.places == "fixed" and self.excerpts is None:
            raise ValueError("places: fixed needs excerpts, the number of these places, got none")
        return self

    @property
    def two_level(self) -> bool:
        """Whether the rate is cut, and training goes on, if the validation loss does not fall."""
        return self.schedule.startswith("two-level")

    def frames(self, of_clip: int) -> int:
        """Return how many frames a step sees of a clip that has ``of_clip``.

        >>> recipe = Recipe(optimizer="adam", learning_rate=0.001, batch=16, epochs=8, patience=5, excerpt=0.125)
        >>> recipe.frames(of_clip=114), recipe.model_copy(update={"excerpt": 187}).frames(of_clip=1813)
        (14, 187)
        """
        return int(self.excerpt) if self.excerpt > 1 else max(1, round(of_clip * self.excerpt))


class ExperimentConfig(Section):
    """What is trained: a network, on a representation, to tell tags, by a recipe.

    representation, labels, recipe: the names of entries in these sections; a network that fits itself has no recipe.
    model: the file of the network under ``earmark.models``. network: the options of its ``build``.
    seeds: the network is trained from each of them.
    system: the published system that it claims to be, by default the one of the experiment's name; what is not as
    published is named in the report.

    All other keys are values of the recipe, which they override.
    """

    model_config = ConfigDict(extra="allow")

    representation: str
    labels: str
    model: str
    network: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    recipe: str | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1_000)] = (1,)
    system: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _several_are_one_of_kind_joint(cls, values: Any) -> Any:
        if isinstance(values, dict) and "representations" in values:
            raise ValueError(
                f"unknown key representations, got {values['representations']!r}: an experiment has one, "
                "`representation`; several are an entry of representations: `{kind: joint, rate: .., samples: .., "
                "frames: .., parts: {one: {kind: ..}, other: {kind: ..}}}` (docs/encoders.md), and the scores of "
                "several experiments are averaged by an entry of fusions"
            )
        return values

    @field_validator("model")
    @classmethod
    def _a_model_is_a_file(cls, model: str) -> str:
        return one_of("models", model)

    @field_validator("seeds")
    @classmethod
    def _a_seed_counts_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"must differ from each other, got {list(seeds)}")
        return seeds

    @model_validator(mode="after")
    def _others_are_values_of_a_recipe(self) -> ExperimentConfig:
        own, values = type(self).model_fields, Recipe.model_fields
        for key, value in self.overrides().items():
            if key not in values:
                raise ValueError(
                    f"unknown key {key}, got {value!r}{near(key, [*own, *values])}; an experiment takes "
                    f"{', '.join(own)}, and values of its recipe; options of the network stand under `network`"
                )
        return self

    def overrides(self) -> dict[str, Any]:
        """Return the values of the recipe that are set here."""
        return dict(self.model_extra or {})


class CrossValidationConfig(ExperimentConfig):
    """A network on exclusive classes, by k-fold cross-validation that keeps groups together.

    classes: tags; only clips that have exactly one of them count. groups: what must not lie in two folds.
    """

    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    folds: int = Field(default=3, ge=2, le=1_000)
    groups: Groups = "artist"

    @field_validator("classes")
    @classmethod
    def _a_class_counts_once(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError(f"must differ from each other, got {list(classes)}")
        return classes

    @field_validator("seeds")
    @classmethod
    def _folds_are_the_repetition(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(seeds) > 1:
            raise ValueError(f"must be one seed, got {list(seeds)}: the folds are trained from the same")
        return seeds


class FusionConfig(Section):
    """Late fusion: the mean of the test scores of several experiments on the same labels, which the report measures.

    of: what is averaged, ``probabilities`` or their ``logits``. weights: one per experiment, 0 or from LEAST_WEIGHT to
    a million, taken as they are given; by default all count the same. Nothing is fitted, so that the test split stays
    one.
    """

    experiments: Annotated[tuple[str, ...], Field(min_length=2)]
    of: Literal["probabilities", "logits"] = "probabilities"
    weights: tuple[Weight, ...] | None = None

    @model_validator(mode="after")
    def _each_counts_once(self) -> FusionConfig:
        if len(set(self.experiments)) < len(self.experiments):
            raise ValueError(f"experiments must differ from each other, got {', '.join(self.experiments)}")
        if self.weights is not None and (len(self.weights) != len(self.experiments) or not sum(self.weights)):
            raise ValueError(
                f"weights must be one per experiment, {len(self.experiments)}, and not all 0, got {list(self.weights)}"
            )
        if too_small := [weight for weight in self.weights or () if 0 < weight < LEAST_WEIGHT]:
            raise ValueError(f"weights must be 0 or at least {LEAST_WEIGHT:g}, got {too_small[0]:g}")
        return self
