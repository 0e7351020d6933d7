"""The benchmarks run and say what they measured. How fast that was is not tested."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from earmark import representations
from earmark.bench import beside, choices, comparing, decoding, end_to_end, peers, start, training
from earmark.cli import main
from earmark.systems.published import SYSTEMS

ABSENT = {"pydantic", "yaml", "soundfile", "soxr", "librosa", "kymatio", "dvc", "music21", "tqdm", "sklearn"}
SMALL = {"experiments": 3, "clips": 60, "songs": 20, "tags": 4, "resamples": 30}


def test_a_benchmark_prints_ratios_and_errors_and_writes_them(tmp_path, capsys):
    assert main(["bench", "mel", "--batch", "2", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "b.json").read_text())
    assert "ratio" in shown
    assert written["ratio"]["n"] == 1
    assert written["error"] < 1e-4


def test_the_benchmark_of_start_up_has_a_row_per_command_beside_its_limit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(start, "SECONDS", 6)
    honest = start.started

    def few(model, song):
        every = honest(model, song)
        quick = ("-c", "import re")
        return {"python": every["python"], "earmark --help": quick, start.OPENED: quick, start.SONG: every[start.SONG]}

    monkeypatch.setattr(start, "started", few)
    assert main(["bench", "start", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].startswith("python ")
    assert shown[2].endswith("0.15 s of CPU")
    rows = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert set(start.LIMITS) - set(rows) == {"earmark predict --help", "what predict imports"}
    assert rows["earmark --help"]["cpu"]["n"] == rows["earmark --help"]["wall"]["n"] == 1
    song, opened, alone = (rows[name]["wall"]["median"] for name in (start.SONG, start.OPENED, start.AFTER))
    assert alone == pytest.approx(song - opened)
    assert song > opened > 0


def test_what_is_offered_is_what_is_there():
    assert set(choices.SYSTEMS) <= set(SYSTEMS)
    assert set(choices.TRANSFORMS) <= set(representations.kinds())


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


def test_the_training_benchmark_tells_data_from_model_and_loop(tmp_path, capsys):
    """No time is judged; that all parts run on the same clips is what can go wrong."""
    arguments = ["bench", "train", "--systems", "scat-4l-256h-gru", "--steps", "3", "--rounds", "1"]
    assert main([*arguments, "--json", str(tmp_path / "b.json")]) == 0
    assert "the loop takes" in capsys.readouterr().out
    parts = json.loads((tmp_path / "b.json").read_text())["systems"]["scat-4l-256h-gru"]["parts"]
    assert list(parts) == ["data, memory", "data, disk", "model", "both, memory", "both, disk", "loop"]
    assert all(part["median"] > 0 for part in parts.values())


def test_a_benchmark_beside_others_compares_the_same_work(monkeypatch, capsys):
    seen = []

    def once(arguments):
        seen.append((arguments, len(beside_running)))
        return {"kind": "mel", "rows": {"mel": {"median": 0.002 if beside_running else 0.001}}}

    beside_running = []

    class Busy:
        def __init__(self, processes):
            self.processes = processes

        def __enter__(self):
            beside_running.extend(range(self.processes))

        def __exit__(self, *_):
            beside_running.clear()

    monkeypatch.setattr(beside, "_once", once)
    monkeypatch.setattr(beside, "busy", Busy)
    assert main(["bench", "mel", "--beside", "1", "--rounds", "2", "--batch", "4"]) == 0
    assert [count for _, count in seen] == [0, 1, 0, 1]
    assert {tuple(arguments) for arguments, _ in seen} == {("mel", "--alone", "--batch", "4")}
    assert "50% of its quiet speed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["bench", "decode", "--beside", "1"])
    assert "--beside goes with" in capsys.readouterr().err


def test_what_runs_beside_others_is_measured_without_its_peer(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise AssertionError("the peer ran")

    monkeypatch.setattr(peers, "mel_peer", none)  # not even made: kymatio takes seconds
    monkeypatch.setattr(training, "_loop", none)
    for kind in (["mel", "--batch", "2"], ["train", "--systems", "scat-4l-256h-gru", "--steps", "3"]):
        assert main(["bench", *kind, "--alone", "--rounds", "1", "--json", str(tmp_path / "b.json")]) == 0
        (row,) = json.loads((tmp_path / "b.json").read_text())["rows"].values()
        assert row["median"] > 0
        assert f"{1e3 * row['median']:.2f} ms" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["bench", "decode", "--alone"])
    assert "--alone goes with" in capsys.readouterr().err


def test_busy_processes_end_with_the_measurement(monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *given: started.append(popen(*given)) or started[-1])
    with beside.busy(2):
        assert [one.poll() for one in started] == [None, None]
    assert all(one.poll() is not None for one in started)
