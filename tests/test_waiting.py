"""A stage lets its threads sleep while they wait if others keep the machine busy, and not otherwise."""

from __future__ import annotations

import ast
import os
import sys

import pytest
from helpers import ROOT

from earmark import waiting

STILL = {0: [10, 0, 0, 90, 0], 1: [10, 0, 0, 90, 0]}


@pytest.fixture
def machine(monkeypatch):
    """Two cores, no torch yet, nothing chosen; a function says how many of ten ticks each core was busy."""
    for name in (*waiting.OWN, *waiting.STEADY, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(waiting, "SAMPLE", 0)
    monkeypatch.setattr(waiting, "_TIMES", ROOT / "README.md")  # a file that is there

    def set_busy(*ticks):
        later = {core: [10 + busy, 0, 0, 90 + 8 - busy, 2] for core, busy in enumerate(ticks)}
        readings = iter([STILL, later])
        monkeypatch.setattr(waiting, "_times", lambda: next(readings))

    yield set_busy
    os.environ.pop(waiting.VARIABLE, None)


def test_a_busy_machine_lets_threads_sleep_and_says_so(machine, capsys):
    machine(1, 8)
    assert waiting.choose("train x") == "PASSIVE"
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert (
        "train x: other processes keep 0.9 of 2 cores busy: OMP_WAIT_POLICY=PASSIVE is set" in capsys.readouterr().out
    )


def test_the_number_of_threads_does_not_follow_the_load(machine, monkeypatch):
    monkeypatch.delenv("MKL_DYNAMIC", raising=False)
    machine(1, 3)
    waiting.choose("train")
    assert os.environ["MKL_DYNAMIC"] == "FALSE"
    monkeypatch.setenv("MKL_DYNAMIC", "TRUE")
    machine(1, 3)
    waiting.choose("train")
    assert os.environ["MKL_DYNAMIC"] == "TRUE"


def test_an_idle_machine_stays_as_it_is(machine, capsys):
    machine(1, 3)
    assert waiting.choose("train") is None
    assert "OMP_WAIT_POLICY" not in os.environ
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("given", [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "5"), ("OMP_NUM_THREADS", "1")])
def test_who_has_chosen_is_not_overruled(machine, monkeypatch, given):
    machine(8, 8)
    monkeypatch.setenv(*given)
    before = dict(os.environ)
    assert waiting.choose("train") is None
    assert dict(os.environ) == before | waiting.STEADY


def test_it_is_too_late_once_torch_is_loaded(machine, monkeypatch):
    machine(8, 8)
    monkeypatch.setitem(sys.modules, "torch", object())
    assert waiting.choose("train") is None


def test_a_system_that_does_not_tell_is_left_alone(machine, monkeypatch, tmp_path):
    machine(8, 8)
    monkeypatch.setattr(waiting, "_TIMES", tmp_path / "absent")
    assert waiting.choose("train") is None


@pytest.mark.skipif(not waiting._TIMES.is_file(), reason="only Linux counts the times of its cores in /proc/stat")
def test_the_times_of_every_core_are_read():
    times = waiting._times()
    assert len(times) >= len(os.sched_getaffinity(0))
    assert all(len(row) >= 5 and min(row) >= 0 for row in times.values())


@pytest.mark.parametrize("stage", ["features", "train", "crossvalidate", "evaluate"])
def test_the_stages_that_compute_choose_before_anything_loads_torch(stage):
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))
    ours = [node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module.startswith("earmark")]
    names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert ours[0] == "earmark"
    assert names[0] == "Path" or names[0] == "waiting"
    assert "waiting" in names
