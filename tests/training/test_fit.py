"""A system is fitted as params.yaml asks, and what cannot be fitted is refused with the entry that asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.plans import plan, plan_of_system
from helpers.splits import split

from earmark.config import ConfigError
from earmark.errors import EarmarkError
from earmark.features.dataset import Split
from earmark.models import networks
from earmark.models.networks import SelfFitting
from earmark.systems import published
from earmark.training import fit as training


@pytest.mark.parametrize(("batch", "clips"), [(1, 40), (2, 41)])
def test_a_clip_alone_in_its_batch_is_refused_where_there_is_batch_norm(batch, clips):
    large = Split(torch.zeros(clips, 60, 48), torch.ones(clips, 2), (), ("a", "b"), 0)
    told = rf"^experiments\.x\.batch must leave 2 clips .*, got {batch} for {clips} training clips"
    with pytest.raises(ConfigError, match=told):
        training.fit(plan("convolutional", batch=batch, epochs=1), 1, large, large)


def test_the_linear_baseline_is_fitted_without_epochs():
    fitted = training.fit(plan_of_system("linear"), 1, split(), split(16, 1))
    assert fitted.curves == []
    assert fitted.summary["epochs"] == 0
    assert fitted.summary["parameters"] == networks.count_parameters(fitted.model) == 2 * 6 + 2


@pytest.mark.parametrize("exclusive", [False, True])
def test_training_that_diverges_is_stopped_with_the_epoch_the_rate_and_what_to_do(exclusive):
    """Steps of 1e30 bring weights to infinity, and these bring scores to NaN, in the first epoch."""
    train, valid = (
        replace(split(n), features=torch.randn(n, 64, 48), targets=torch.eye(2)[torch.arange(n) % 2]) for n in (24, 16)
    )
    wild = plan("convolutional", learning_rate=1e30, epochs=3)
    expected = (
        r"experiments\.x: training diverged in epoch \d: the \w+ loss is \w+ at a learning rate of \S+; a smaller"
    )
    with pytest.raises(EarmarkError, match=expected):
        training.fit(wild, 1, train, valid, exclusive=exclusive)


def test_what_fits_itself_is_what_has_no_recipe():
    for system in published.SYSTEMS.values():
        with torch.device("meta"):
            network = published.build(system.name, 2)
        assert isinstance(network, SelfFitting) == (system.recipe is None), system.name
