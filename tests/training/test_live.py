"""What a training shows in a terminal, and that it is silent elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest
import torch
from helpers.splits import Small, split

from earmark.experiments import Recipe
from earmark.training import distributed, gradient
from earmark.training.gradient import Task
from earmark.training.live import Live
from earmark.training.tagger import BestWeights, DivergedError, Tagger

RECIPE = Recipe(optimizer="adam", learning_rate=1e-2, batch=8, epochs=4, patience=4)


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self):
        return True

    def lines(self):
        """The lines that stay; what a bar has written over is not one of them."""
        return [line.rpartition("\r")[2] for line in self.getvalue().split("\n")][:-1]


def watched(monkeypatch):
    """A terminal in place of standard error; in the test itself, because pytest sets its own before each phase."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def train(recipe=RECIPE):
    torch.manual_seed(0)
    model = Small()
    return model, gradient.train(Task(model, recipe, 5, split(), split(16, 1), name="mel-cnn"))


def test_in_a_terminal_there_is_a_line_per_epoch(monkeypatch, capsys):
    terminal = watched(monkeypatch)
    _, learnt = train()
    shown = [re.sub(r"\d\d:\d\d", "00:00", line) for line in terminal.lines()]
    best, expected = 0, []
    for epoch, train_loss, valid_loss, auc, _ in learnt.curves:
        best = epoch if auc > learnt.curves[best][3] else best
        expected.append(
            f"mel-cnn seed 5 epoch {epoch}: loss {train_loss:.4f}, valid {valid_loss:.4f}, ROC-AUC {auc:.4f}, best "
            f"{learnt.curves[best][3]:.4f} (epoch {best}), {'00:00 left' if epoch < 3 else 'the end'}"
        )
    assert shown == expected
    assert capsys.readouterr().out == ""


def test_inside_an_epoch_a_bar_counts_the_batches_of_training_and_validation(monkeypatch):
    terminal = watched(monkeypatch)
    seen = []
    monkeypatch.setattr(Live, "on_validation_batch_end", lambda self, *_: seen.append((self._bar.n, self._bar.total)))
    train()
    assert "mel-cnn seed 5 epoch 2 of 4: " in terminal.getvalue()
    assert seen == [(3, 4)] * 4  # three batches of eight, and one of twice that many


def test_elsewhere_nothing_is_shown(capsys):
    train()
    assert capsys.readouterr() == ("", "")


def test_of_several_processes_the_first_one_shows(monkeypatch):
    terminal = watched(monkeypatch)
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    train()
    assert terminal.getvalue() == ""


def test_results_are_the_same_bits_with_and_without_a_terminal(monkeypatch):
    bare, learnt = train()
    watched(monkeypatch)
    shown, too = train()
    assert too == learnt
    assert all(torch.equal(a, b) for a, b in zip(bare.parameters(), shown.parameters(), strict=True))


def ended(epoch, seconds, epochs=8, best=0, stopped=False):
    """The line of an epoch, when the epochs of this process have taken so many seconds."""
    kept = BestWeights(RECIPE, 1)
    kept.curves = [[number, 0.5, 0.6, 0.7, 0.01] for number in range(epoch + 1)]
    kept.epoch, kept.stopped = best, stopped
    live = Live("mel-cnn", kept, epochs)
    live.seconds = seconds
    return live.text().rpartition(", ")[2]


def test_the_time_left_is_that_of_the_median_epoch():
    assert ended(2, [90, 10, 11]) == "00:55 left"
    assert ended(5, [600], epochs=40) == "5:40:00 left"  # a run that was killed after five epochs and goes on
    assert ended(7, [10] * 8) == "the end"


def test_a_training_that_stops_early_says_since_when_nothing_got_better():
    assert ended(5, [10] * 6, best=2, stopped=True) == "nothing better since epoch 2: the end"


def test_what_went_wrong_stands_on_a_line_of_its_own(monkeypatch):
    terminal = watched(monkeypatch)
    monkeypatch.setattr(Tagger, "judge", lambda _: (_ for _ in ()).throw(DivergedError("the loss is nan")))
    with pytest.raises(DivergedError):
        train()
    assert terminal.getvalue().endswith("\r")  # the bar has been wiped
