"""What training can afford is counted and measured before it begins: batch and epochs."""

from __future__ import annotations

import pytest
import torch
from helpers.plans import plan, plan_of_system
from torch import nn

from earmark.corpus.label_table import Labelled
from earmark.features.dataset import Batches, Split
from earmark.papers import budget
from earmark.systems import published

PLAN = plan_of_system("mel-2d-cnn")


def split(clips=40, frames=60, dims=48, tags=3):
    torch.manual_seed(0)
    who = tuple(Labelled(str(i), str(i), "", "train") for i in range(clips))
    targets = (torch.rand(clips, tags) > 0.5).float()
    return Split(torch.randn(clips, frames, dims), targets, who, tuple("abc"[:tags]), 0)


def test_what_a_step_keeps_is_counted_to_the_byte():
    """A linear layer keeps its input, the sigmoid its output, the loss its logits and its targets; not the weights."""
    model = nn.Sequential(nn.Linear(100, 30), nn.Sigmoid(), nn.Linear(30, 7))
    kept = budget.kept_bytes(model, torch.randn(5, 100), torch.rand(5, 7))
    assert kept == 4 * 5 * (100 + 30 + 7 + 7)


def test_a_network_of_several_heads_is_measured_like_any_other():
    several = plan("attentive_branches", {"parts": [20, 28], "channels": 4})
    assert budget.fitting("mine", several, 1, split(), split(), minutes=60) == {"epochs": 2}


@pytest.fixture
def free(monkeypatch):
    """Say how much memory is free, in the memory that a clip of ``split`` is taken to need."""
    features = split().features[:2].clone()  # a view would count as the whole
    each = budget.kept_bytes(published.build("mel-2d-cnn", 3, 60, 48), features, torch.zeros(2, 3)) / 2

    def leave(clips):
        monkeypatch.setattr(budget.devices, "free_bytes", lambda _: int(clips * budget.TIMES_KEPT * each))

    return leave


def test_with_enough_memory_the_batch_is_the_rules(free, capsys):
    free(17)
    assert budget.fitting("mel-2d-cnn", PLAN, 1, split(), split(), None) == {}
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("clips", "batch"), [(15, 8), (9, 8), (7, 4), (1, 2), (0, 2)])
def test_the_batch_is_halved_until_it_fits_with_a_message_but_batch_norm_needs_two(free, capsys, clips, batch):
    free(clips)
    assert budget.fitting("mel-2d-cnn", PLAN, 1, split(), split(), None) == {"batch": batch}
    assert capsys.readouterr().err.startswith(f"mel-2d-cnn: batches of {batch} clips, not 16: a clip takes about ")


def test_an_odd_number_of_clips_leaves_none_alone_in_its_batch(free):
    free(0)
    assert budget.fitting("mel-2d-cnn", PLAN, 1, split(41), split(), None) == {"batch": 3}
    batches = Batches(split(41), 3, 1)
    assert min(len(batches[i][0]) for i in range(len(batches))) >= 2


def test_a_budget_leaves_the_epochs_that_fit_but_at_least_one_and_no_more_than_the_rules(monkeypatch):
    """An epoch of 40 clips in batches of 16 has 3 steps; all 40 are scored, 32 at a time: 3 x 2 s + 40 / 32 x 4 s."""
    took = iter([2, 4] * 3)
    monkeypatch.setattr(budget, "_seconds", lambda work, *_: (work(), next(took))[1])
    for minutes, epochs in ((0.01, 1), (45 / 60, 4), (100, 8)):
        assert budget.fitting("mel-2d-cnn", PLAN, 1, split(), split(), minutes) == {"epochs": epochs}


def test_a_time_is_the_median_of_those_after_the_first(monkeypatch):
    clock = iter([0, 100, 200, 201, 300, 309, 400, 402])
    monkeypatch.setattr(budget.progress.time, "perf_counter", lambda: next(clock))
    done = []
    assert budget._seconds(lambda: done.append(1), 3, torch.device("cpu")) == 2
    assert len(done) == 4
