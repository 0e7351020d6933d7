"""The benchmark of training on a GPU goes through the same code on a CPU."""

from __future__ import annotations

import json

from earmark.bench import gpu_training

SYSTEM = "mel-2d-cnn"


def test_an_epoch_is_measured_in_both_precisions_as_it_is_and_compiled(tmp_path, capsys, monkeypatch):
    compiled = []
    monkeypatch.setattr("torch.nn.Module.compile", lambda network: compiled.append(type(network).__name__))
    arguments = ["--systems", SYSTEM, "--clips", "40", "--epochs", "1", "--json", str(tmp_path / "x.json")]
    assert gpu_training.main(arguments) == 0
    device, *rows = json.loads((tmp_path / "x.json").read_text())
    assert "no GPU: the bars are not for it" in device["device"]
    ways = ["float32", "float32, compiled", "bfloat16", "bfloat16, compiled"]
    assert [row["name"] for row in rows] == [f"{SYSTEM}, {way}" for way in ways]
    assert len(compiled) == 2
    assert all(len(row["seconds"]) == 1 and row["seconds"][0] > 0 for row in rows)
    assert all(row["steps_per_second"] > 1 / 60 for row in rows)
    assert capsys.readouterr().out.count("s an epoch") == 4


def test_a_network_that_cannot_be_compiled_says_why_and_the_others_are_measured(monkeypatch):
    def refuse(_):
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr("torch.nn.Module.compile", refuse)
    rows = list(gpu_training.measure([SYSTEM], 40, 1))
    assert [row.get("failed") for row in rows] == [None, "RuntimeError: no compiler", None, "RuntimeError: no compiler"]
    assert gpu_training.line(rows[1]).endswith("not measured: RuntimeError: no compiler")
