"""The plan of a training: what a network of one's own gets wrong is told before the first epoch, with file and line."""

from __future__ import annotations

import re

import pytest
import torch
from helpers.own_code import write_own as write_own

from earmark.config import ConfigError
from earmark.experiments import Recipe
from earmark.training.plan import Plan

RECIPE = Recipe(optimizer="adam", learning_rate=0.001, batch=4, epochs=1, patience=1)
NETWORK = """
from torch import nn

class Mine(nn.Module):
    def __init__(self, n_tags, dims):
        super().__init__()
        self.layer = nn.Linear(dims, n_tags)

    def forward(self, features):
        {forward}

def build(n_tags, frames, dims):
    {build}
"""

MUST_RETURN = (
    "`fit` of models/mine.py must return a list of the (setting, measure) pairs that it tried, at least one, got {}"
)


def plan(recipe: Recipe | None = RECIPE, family: str = "mine") -> Plan:
    return Plan("experiments.x", family, {}, recipe)


def network(build: str = "return Mine(n_tags, dims)", forward: str = "return self.layer(features.mean(1))") -> str:
    return NETWORK.format(build=build, forward=forward)


def told(check: Plan, clips: torch.Tensor | None = None) -> str:
    """The one line of the error that building the network raises, or feeding it with clips."""
    network = None if clips is None else check.build(3, 10, 6)
    with pytest.raises(ConfigError) as caught:
        check.build(3, 10, 6) if network is None else check.require_logits(network, clips, 3)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_network_of_ones_own_is_built_and_its_logits_pass(write_own):
    write_own(network())
    built = plan().build(3, 10, 6)
    built.train()
    plan().require_logits(built, torch.randn(2, 10, 6), 3)
    assert built.training


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (
            "return Mine(n_tags, dims, frames)",
            "TypeError: Mine.__init__() takes 3 positional arguments but 4 were given",
        ),
        ("return Nine(n_tags, dims)", "NameError: name 'Nine' is not defined"),
        ("return Mine(n_tags, dims).units", "AttributeError: 'Mine' object has no attribute 'units'"),
        ("return {}['units']", "KeyError: 'units'"),
        ("raise RuntimeError('one line\\n and another')", "RuntimeError: one line and another"),
        ("raise NotImplementedError", "NotImplementedError:"),
    ],
)
def test_what_build_raises_is_told_with_its_file_and_line(write_own, build, error):
    file = write_own(network(build))
    assert told(plan()) == f"experiments.x: {file}, line 13: {error}"


def test_a_fault_inside_of_a_library_is_told_with_ones_own_line(write_own):
    file = write_own(network("return Mine(n_tags, 'six')"))
    assert told(plan()).startswith(f"experiments.x: {file}, line 7: TypeError: ")


def test_an_input_that_does_not_suit_a_network_is_told_in_its_own_words(write_own):
    write_own(network("raise ValueError('frames must be at least 20')"))
    assert told(plan()) == (
        "experiments.x: mine does not fit an input of 10 frames of 6 dims: frames must be at least 20"
    )


@pytest.mark.parametrize(("build", "got"), [("Mine(n_tags, dims)", "NoneType"), ("return Mine", "type")])
def test_what_is_no_network_is_refused(write_own, build, got):
    write_own(network(build))
    assert told(plan()) == f"experiments.x: `build` of models/mine.py must return a torch.nn.Module, got {got}"


@pytest.mark.parametrize(
    ("forward", "gave"),
    [
        ("return self.layer(features)", r"\(2, 10, 3\)"),
        ("return self.layer(features.mean((0, 1)))", r"\(3,\)"),
        ("return self.layer(features.mean(0))", r"\(10, 3\)"),
        ("return self.layer(features.mean(1))[:, :2]", r"\(2, 2\)"),
        ("return self.layer(features.mean(1)), None", "tuple"),
        ("self.layer(features.mean(1))", "NoneType"),
    ],
)
def test_logits_of_another_shape_are_refused_with_the_clips_and_the_shapes(write_own, forward, gave):
    write_own(network(forward=forward))
    assert re.fullmatch(
        r"experiments\.x: models/mine\.py got 2 clips of \(10, 6\) \(frames, dims\) and must return logits \(2, 3\), "
        rf"but gave {gave}",
        told(plan(), torch.randn(2, 10, 6)),
    )


def test_a_network_that_fails_on_the_data_names_its_line_and_the_shape_of_the_clips(write_own):
    file = write_own(network(forward="return self.layer(features.mean(2))"))
    assert told(plan(), torch.randn(2, 10, 6)).startswith(
        "experiments.x: models/mine.py got 2 clips of (10, 6) (frames, dims) and failed: "
        f"{file}, line 10: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x10 and 6x3)"
    )


def test_logits_that_are_nan_pass_here():
    """The loss tells, with the epoch and what to do."""
    plan().require_logits(torch.nn.Flatten(), torch.full((2, 3), torch.nan), 3)


def test_a_network_that_is_trained_by_steps_needs_a_recipe_and_one_that_fits_itself_takes_none(write_own):
    write_own(network())
    assert told(plan(None)) == "experiments.x.recipe is missing: mine is trained by one of those in `recipes`"
    assert told(plan(RECIPE, "linear")) == (
        "experiments.x.recipe: linear fits itself and takes no recipe, nor values of one"
    )
    assert plan(None, "linear").build(3, 10, 6)


FITTING = """
from torch import nn

class Mine(nn.Module):
    def forward(self, features):
        return features.mean(1)

    def fit(self, train, valid, measure):
        {fit}

def build(n_tags, frames, dims):
    return Mine()
"""


@pytest.mark.parametrize(
    ("fit", "error"),
    [
        ("return train.features", "{file}, line 9: AttributeError: 'tuple' object has no attribute 'features'"),
        ("...", MUST_RETURN.format("None")),
        ("return []", MUST_RETURN.format("[]")),
        ("return [0.5]", MUST_RETURN.format("[0.5]")),
    ],
)
def test_a_model_that_fails_to_fit_itself_is_told_with_its_file_and_line(write_own, fit, error):
    file = write_own(FITTING.format(fit=fit))
    check, split = plan(None), (torch.zeros(4, 10, 3), torch.zeros(4, 3))
    network = check.build(3, 10, 3)
    with pytest.raises(ConfigError) as caught:
        check.tried(network, split, split, lambda *_: 0.5)
    assert str(caught.value) == f"experiments.x: {error.format(file=file)}"


def test_a_model_that_fits_itself_tells_what_it_tried(write_own):
    write_own(FITTING.format(fit="return [(1.0, measure(self(valid[0]), valid[1]))]"))
    check, split = plan(None), (torch.zeros(4, 10, 3), torch.zeros(4, 3))
    assert check.tried(check.build(3, 10, 3), split, split, lambda *_: 0.5) == [(1.0, 0.5)]
