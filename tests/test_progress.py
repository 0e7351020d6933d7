"""What a stage took stands in a log that no result depends on."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import torch

from earmark import progress
from earmark.evaluation import scoring
from earmark.models.histogram_boosting import HistogramBoosting
from earmark.models.linear import LinearProbe


def lines(folder, stage):
    return [json.loads(line) for line in (folder / f"{stage}.jsonl").read_text().splitlines()]


def test_a_report_is_printed_and_logged_with_its_time_and_place(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EARMARK_LOGS", str(tmp_path / "logs"))
    for epochs in (3, 4):
        progress.Stopwatch().report("train cnn", 12, "fine", epochs=epochs)
    assert capsys.readouterr().out.startswith("train cnn: 12 clips in ")
    first, second = lines(tmp_path / "logs", "train")
    assert set(first) == {"stage", "name", "seconds", "clips", "epochs", "host", "when"}
    assert (first["stage"], first["name"], first["clips"], first["epochs"]) == ("train", "cnn", 12, 3)
    assert second["epochs"] == 4


def test_a_log_that_cannot_be_written_is_one_warning_and_no_failure(tmp_path, monkeypatch, capsys):
    (tmp_path / "logs").write_text("a file where a folder must be")
    monkeypatch.setenv("EARMARK_LOGS", str(tmp_path / "logs"))
    progress.Stopwatch().report("evaluate cnn", 12)
    shown = capsys.readouterr()
    assert shown.out.startswith("evaluate cnn: 12 clips")
    (warning,) = shown.err.splitlines()
    assert warning.startswith("warning: evaluate cnn: the time is not logged in ")


def test_what_is_counted_in_a_terminal_says_how_many_are_done_and_elsewhere_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress.counted("abc", "linear", "penalty")) == ["a", "b", "c"]
    shown = capsys.readouterr().err
    assert "linear:   0%" in shown
    assert "0/3" in shown
    monkeypatch.setenv("EARMARK_VERBOSITY", "quiet")
    assert list(progress.counted("abc", "linear", "penalty")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_what_may_take_long_is_counted(monkeypatch):
    """Fitting without gradient steps, and scoring a split by a saved model; not the scores of a part of something."""
    counts = []

    def counted(items, label, unit):
        counts.append((len(items), label, unit))
        return items

    monkeypatch.setattr(progress, "counted", counted)
    targets = torch.arange(40)[:, None] % torch.tensor([2, 3]) == 0
    features = torch.randn(40, 6, 3)
    for network in (LinearProbe(2, 6, 3), HistogramBoosting(2, 6, 3, iterations=3)):
        network.fit((features, targets.float()), (features, targets.float()), lambda *_: 0.5)
    scoring.score(network, features)
    assert counts == [(8, "linear", "penalty"), (2, "histogram_boosting", "tag")]
    counts.clear()
    training = {"excerpt_frames": 6, "excerpts": 1}
    saved = SimpleNamespace(build=lambda: network, training=training, experiment="trees", exclusive=False)
    scoring.score_saved(saved, features)
    assert counts == [(2, "score trees", "batch")]
