"""The plan of a training: the network with all its options and the recipe, as params.yaml asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from earmark import doors
from earmark.config import Config, ConfigError
from earmark.errors import EarmarkError
from earmark.experiments import ExperimentConfig, Recipe
from earmark.models import networks
from earmark.models.networks import Measure, SelfFitting


@dataclass(frozen=True)
class Plan:
    """What is trained: a network of a ``family`` with all its ``options``, by a recipe; None if it fits itself.

    where: the entry of params.yaml that asks for it, for errors.
    """

    where: str
    family: str
    options: Mapping[str, Any]
    recipe: Recipe | None

    def frames(self, of_clip: int) -> int:
        """Return how many frames the network sees at one time of a clip that has ``of_clip``.

        Raises ConfigError if a clip has fewer.
        """
        frames = of_clip if self.recipe is None else self.recipe.frames(of_clip)
        if frames > of_clip:
            raise ConfigError(f"{self.where}.excerpt must be at most the frames of a clip, {of_clip}, got {frames}")
        return frames

    def build(self, n_tags: int, of_clip: int, dims: int) -> nn.Module:
        """Build the network for clips (of_clip, dims), or for excerpts of them.

        Raises ConfigError if the input does not suit it, if its own code fails, and if it needs a recipe but has none,
        or the other way round.
        """
        if n_tags < 1:
            raise ConfigError(f"{self.where}: there must be at least one tag to learn, got {n_tags}")
        frames = self.frames(of_clip)
        try:
            network = networks.network(self.family, n_tags, frames, dims, self.options)
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {error}") from None
        except ValueError as error:
            raise ConfigError(
                f"{self.where}: {self.family} does not fit an input of {frames} frames of {dims} dims: {error}"
            ) from None
        except MemoryError:
            raise
        except Exception as error:
            raise ConfigError(f"{self.where}: {doors.fault(error, 'models', self.family)}") from error
        if isinstance(network, SelfFitting) and self.recipe is not None:
            raise ConfigError(f"{self.where}.recipe: {self.family} fits itself and takes no recipe, nor values of one")
        if not isinstance(network, SelfFitting) and self.recipe is None:
            raise ConfigError(f"{self.where}.recipe is missing: {self.family} is trained by one of those in `recipes`")
        return network

    def require_logits(self, network: nn.Module, clips: Tensor, n_tags: int) -> None:
        """Raise ConfigError unless a network returns one logit per tag for clips (batch, frames, dims)."""
        told = f"{self.where}: models/{self.family}.py got {len(clips)} clips of {tuple(clips.shape[1:])}"
        training = network.training
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                logits = network.eval()(clips)
        except MemoryError:
            raise
        except Exception as error:
            fault = doors.fault(error, "models", self.family)
            raise ConfigError(f"{told} (frames, dims) and failed: {fault}") from error
        finally:
            network.train(training)
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if shape != (len(clips), n_tags):
            raise ConfigError(f"{told} (frames, dims) and must return logits {(len(clips), n_tags)}, but gave {shape}")

    def tried(
        self, network: nn.Module, train: tuple[Any, Tensor], valid: tuple[Any, Tensor], measure: Measure
    ) -> list[tuple[float, float]]:
        """Let a network fit itself and return the (setting, measure) pairs that it tried.

        The features of train and valid are tensors, or the ``StoredRows`` of a split that does not fit into memory.

        Raises ConfigError if its own code fails, or if it returns something else.
        """
        assert isinstance(network, SelfFitting)
        try:
            found = network.fit(train, valid, measure)
        except (EarmarkError, MemoryError):
            raise
        except Exception as error:
            raise ConfigError(f"{self.where}: {doors.fault(error, 'models', self.family)}") from error
        if not isinstance(found, list) or not found or not all(isinstance(p, tuple) and len(p) == 2 for p in found):
            raise ConfigError(
                f"{self.where}: `fit` of models/{self.family}.py must return a list of the (setting, measure) pairs "
                f"that it tried, at least one, got {found!r}"
            )
        return found


def plan_of(config: Config, section: str, name: str, experiment: ExperimentConfig) -> Plan:
    """Return the plan of an entry of ``experiments`` or ``crossvalidations``.

    Raises ConfigError if an option of the network is unknown, missing or of another type.
    """
    where = f"{section}.{name}"
    options = networks.resolve(experiment.model, experiment.network, section, name, "network")
    return Plan(where, experiment.model, options, config.recipe_of(experiment, section, name))
