"""What a stage took stands in a log that no result depends on."""

from __future__ import annotations

import json

from earmark import progress


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
