"""A system is fitted as params.yaml asks, and what cannot be fitted is refused with the entry that asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.splits import split

from earmark.config import ConfigError, ExperimentConfig
from earmark.errors import EarmarkError
from earmark.features.dataset import Split
from earmark.models import networks
from earmark.models.networks import SelfFitting
from earmark.systems import published
from earmark.training import fit as training


def test_a_model_of_another_family_is_refused():
    experiment = ExperimentConfig(representation="mel", model="crnn")
    with pytest.raises(ConfigError, match=r"experiments\.mel-2d-cnn\.model must be 'convolutional'.* got 'crnn'"):
        training.fit("mel-2d-cnn", experiment, split(), split(16, 1))


def test_an_unknown_system_is_refused_with_its_neighbours():
    experiment = ExperimentConfig(representation="mel", model="recurrent")
    with pytest.raises(ConfigError, match=r"got 'scat-5l-512h-gro'.*scat-5l-512h-gru"):
        training.fit("scat-5l-512h-gro", experiment, split(), split(16, 1))


def test_a_system_of_exclusive_classes_is_refused_as_an_experiment():
    experiment = ExperimentConfig(representation="mel", model="recurrent", epochs=1)
    with pytest.raises(ConfigError, match=r"^experiments\.mirex-5l-512h-lstm: .* its place is crossvalidations"):
        training.fit("mirex-5l-512h-lstm", experiment, split(), split(16, 1))


@pytest.mark.parametrize(("batch", "clips"), [(1, 40), (2, 41)])
def test_a_clip_alone_in_its_batch_is_refused_where_there_is_batch_norm(batch, clips):
    experiment = ExperimentConfig(representation="mel", model="convolutional", batch=batch, epochs=1)
    large = Split(torch.zeros(clips, 60, 48), torch.ones(clips, 2), (), ("a", "b"), 0)
    told = rf"^experiments\.mel-2d-cnn\.batch must leave 2 clips .*, got {batch} for {clips} training clips"
    with pytest.raises(ConfigError, match=told):
        training.fit("mel-2d-cnn", experiment, large, large)


def test_the_linear_baseline_is_fitted_without_epochs():
    fitted = training.fit("linear", ExperimentConfig(representation="mel", model="linear"), split(), split(16, 1))
    assert fitted.curves == []
    assert fitted.summary["epochs"] == 0
    assert fitted.summary["parameters"] == networks.count_parameters(fitted.model) == 2 * 6 + 2


@pytest.mark.parametrize("exclusive", [False, True])
def test_training_that_diverges_is_stopped_with_the_epoch_the_rate_and_what_to_do(exclusive):
    """Steps of 1e30 bring weights to infinity, and these bring scores to NaN, in the first epoch."""
    experiment = ExperimentConfig(
        representation="mel", model="convolutional", system="mel-2d-cnn", preset="demo", learning_rate=1e30, epochs=3
    )
    train, valid = (
        replace(split(n), features=torch.randn(n, 64, 48), targets=torch.eye(2)[torch.arange(n) % 2]) for n in (24, 16)
    )
    section = "crossvalidations" if exclusive else "experiments"
    expected = rf"{section}\.x: training diverged in epoch \d: the \w+ loss is \w+ at a learning rate of \S+; a smaller"
    with pytest.raises(EarmarkError, match=expected):
        training.fit("x", experiment, train, valid, exclusive=exclusive)


def test_what_fits_itself_is_what_has_no_recipe():
    for system in published.SYSTEMS.values():
        with torch.device("meta"):
            network = published.build(system.name, 2)
        assert isinstance(network, SelfFitting) == (system.training is None), system.name
    with pytest.raises(ValueError, match="linear has no recipe: its network fits itself"):
        training.recipe_of(published.get("linear"), ExperimentConfig(representation="mel", model="linear"), 100)
