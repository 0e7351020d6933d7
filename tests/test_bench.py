"""The benchmarks run and say what they measured; how fast it was is no test."""

from __future__ import annotations

import json

from earmark.cli import main


def test_a_benchmark_prints_ratios_and_errors_and_writes_them(tmp_path, capsys):
    assert main(["bench", "mel", "--batch", "2", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "b.json").read_text())
    assert "ratio" in shown
    assert written["ratio"]["n"] == 1
    assert written["error"] < 1e-4


def test_the_benchmark_from_mp3_to_hdf5_says_where_the_time_went(tmp_path, capsys):
    assert main(["bench", "extract", "--batch", "1", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "b.json").read_text())
    assert "clips/s" in shown
    assert set(written["share"]) == {"decode", "read", "transform", "write"}
    assert all(part > 0 for part in written["share"].values())
