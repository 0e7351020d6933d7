"""The benchmarks run and say what they measured; how fast it was is no test."""

from __future__ import annotations

import json

import pytest

from earmark.cli import main


@pytest.mark.parametrize("kind", ["mel"])
def test_a_benchmark_prints_ratios_and_errors_and_writes_them(tmp_path, capsys, kind):
    assert main(["bench", kind, "--batch", "2", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "b.json").read_text())
    assert "ratio" in shown
    assert written
