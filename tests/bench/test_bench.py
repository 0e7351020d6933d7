"""The benchmarks run and say what they measured. How fast that was is not tested."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from earmark.bench import comparing, decoding, end_to_end
from earmark.cli import main

ABSENT = {"pydantic", "yaml", "soundfile", "soxr", "librosa", "kymatio", "dvc", "music21", "tqdm", "sklearn"}
SMALL = {"experiments": 3, "clips": 60, "songs": 20, "tags": 4, "resamples": 30}


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


def test_the_decoding_benchmark_compares_one_core_with_all(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(decoding, "corpus", lambda folder, _: end_to_end.corpus(folder, 1))
    monkeypatch.setattr(decoding, "SONG", 32)
    assert main(["bench", "decode", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    assert "of each core" in capsys.readouterr().out
    result = json.loads((tmp_path / "b.json").read_text())
    assert result["clips"] == 4
    assert set(result["song"]) == {"whole", "beginning", "frames", "ratio"}
    assert result["ratio"]["median"] == pytest.approx(result["one"]["median"] / result["all"]["median"])


def test_the_comparing_benchmark_gets_what_a_pair_on_its_own_gets(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(comparing.bench, "__kwdefaults__", comparing.bench.__kwdefaults__ | SMALL)
    assert main(["bench", "compare", "--rounds", "2", "--json", str(tmp_path / "b.json")]) == 0
    assert "earmark, 3 pairs" in capsys.readouterr().out
    result = json.loads((tmp_path / "b.json").read_text())
    assert result["error"] == 0
    assert result["ratio"]["n"] == 2


def test_the_gpu_benchmark_needs_torch_numpy_scipy_and_h5py_alone():
    """A machine with a GPU may have nothing else: whatever else is asked for is absent there."""
    code = f"""
import sys

import pytest
class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Bare())
from earmark.bench import gpu
sys.argv = ["gpu"]
sys.exit(gpu.main() if not gpu.torch.cuda.is_available() else 1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Error" not in done.stderr
