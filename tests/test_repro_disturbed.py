"""Two `dvc repro` at once: the second one says so and leaves, and the first one's outputs are as if it were alone."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import yaml

# The stage says that it runs, and ends when it is told to.
MAKE = """
import pathlib, time
pathlib.Path("running").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.01)
pathlib.Path("made.txt").write_text("one")
"""


def start(folder, *command):
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process):
    said, _ = process.communicate(timeout=240)
    return said, process.returncode


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "make.py").write_text(MAKE)
    stages = {"make": {"cmd": f"{sys.executable} make.py", "deps": ["make.py"], "outs": ["made.txt"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    said, code = end(start(tmp_path, "init", "--no-scm", "--quiet"))
    assert code == 0, said
    return tmp_path


def test_a_second_repro_says_that_the_first_one_runs_and_damages_nothing(repository):
    first = start(repository, "repro")
    while not (repository / "running").exists():
        assert first.poll() is None
        time.sleep(0.01)
    said, code = end(start(repository, "repro"))
    assert code != 0
    assert f"PID {first.pid}" in said
    assert not (repository / "made.txt").exists()
    (repository / "go").touch()
    said, code = end(first)
    assert code == 0, said
    assert (repository / "made.txt").read_text() == "one"
    assert "up to date" in end(start(repository, "status"))[0]
