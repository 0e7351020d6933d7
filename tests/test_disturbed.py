"""Stages and commands that are killed, or whose disk fails: nothing is lost, and the second run gives the same bytes.

`make torture` kills 200 times and lets every write fail, one after the other; otherwise it is a seeded part of that.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import disturbances, stage_runs
from helpers.stage_runs import READS, SCRIPTS, WRITES, Server

LONG = bool(os.environ.get("TORTURE"))
KILLS = 200 if LONG else 6
EACH = 40 if LONG else 1  # operations of a stage or command that fail; all of them where there are no more
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes that live on are looked for in /proc")
disk = pytest.mark.skipif(not stage_runs.COMPILER, reason="the disk that fails is made by a C compiler")

# What people call, where all stages have run, and what it needs.
COMMANDS = {
    "predict --model linear audio --csv out.csv": None,
    "predict --model linear audio/s/1.wav --plot pictures": "matplotlib",
    "embed --model linear audio --out out.h5": None,
    "embed --model linear audio --out out.npz": None,
    "embed --model linear audio --out out.parquet": "pyarrow",
    "bundle linear -o out.earmark": None,
    "export linear --onnx out.onnx": "onnx",
    "export linear --torch out.pt2": None,
    "tag --model linear audio": None,
    "tag --model linear audio --write id3": "mutagen",
    "tag --model linear audio --write m3u --out lists": None,
    "errors linear --csv out.csv": None,
    "corpus check --deep --csv pairs.csv": None,
    "add musicnn": None,
}
SHORT = ("predict --model linear audio --csv out.csv", "bundle linear -o out.earmark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def server(folder):
    started = Server(folder)
    yield started
    started.close()


@pytest.fixture(scope="module")
def steps(server, folder):
    return stage_runs.steps(server, folder / "stages", without=() if LONG else ("digests.py",))


@pytest.fixture(scope="module")
def demo(server, folder):
    pytest.importorskip("music21")
    return stage_runs.steps(server, folder / "demo", stage_runs.write_demo, only="demo.py")


@pytest.fixture(scope="module")
def commands(server, folder, steps):
    """The commands whose libraries are here."""
    finished = folder / "stages/place"
    assert steps
    found = COMMANDS if LONG else SHORT
    here = [name for name in found if COMMANDS[name] is None or find_spec(COMMANDS[name]) is not None]
    return [stage_runs.called(server, finished, folder, name) for name in here]


def tell(title, trials):
    """Print what happened, for docs/reliability.md."""
    print(f"\n{title}: {len(trials)}, of which {sum(bool(trial.wrong) for trial in trials)} went wrong")
    for stage, number in Counter(trial.stage for trial in trials).items():
        codes = Counter(trial.code for trial in trials if trial.stage == stage)
        print(f"  {stage}: {number}, exit codes {dict(codes)}")
    wrong = [trial for trial in trials if trial.wrong]
    assert not wrong, "\n".join(f"{t.stage}, {t.what}: {t.wrong}\n{t.said[-500:]}" for t in wrong)


def test_every_stage_script_is_tried(steps):
    tried = {Path(step.command[0]).name for step in steps}
    assert tried | {"digests.py"} == {script.name for script in SCRIPTS}  # that one takes long, and writes as others do


@pytest.mark.slow
def test_a_stage_that_is_killed_comes_to_the_same_result_when_it_runs_again(server, folder, steps, request):
    chance, trials = random.Random(19), []
    tried = [*steps, *request.getfixturevalue("demo")] if LONG else steps
    for number in range(3 * KILLS):  # some come to their end before the signal
        trial = disturbances.killed(server, tried[number % len(tried)], folder / "trial", chance)
        if trial.code != 0 or trial.wrong:
            trials.append(trial)
        if len(trials) == KILLS:
            break
    tell("kills", trials)


def some(server, step, folder, kinds):
    """Which of the operations of a stage fail."""
    count = disturbances.operations(server, step, folder, kinds)
    return sorted(random.Random(count).sample(range(1, count + 1), min(count, EACH)))


def fail_writes(server, folder, steps):
    trials = []
    for step in steps:
        for place, number in enumerate(some(server, step, folder / "trial", WRITES)):
            error = list(disturbances.ERRORS)[place % len(disturbances.ERRORS)]
            trials.append(disturbances.refused(server, step, folder / "trial", number, error))
    return [trial for trial in trials if trial is not None]


@disk
@pytest.mark.slow
def test_a_write_that_fails_is_told_and_leaves_what_was_there(server, folder, steps, request):
    tried = [*steps, *request.getfixturevalue("demo")] if LONG else steps
    tell("writes, syncs, closes and renames of stages that failed", fail_writes(server, folder, tried))


@disk
@pytest.mark.slow
def test_a_write_of_a_command_that_fails_is_told(server, folder, commands):
    tell("writes of commands that failed", fail_writes(server, folder, commands))


@disk
@pytest.mark.slow
def test_a_read_that_fails_is_told_or_the_clip_is_counted(server, folder, steps):
    trials = []
    for step in steps if LONG else [step for step in steps if step.name.startswith("decode")]:
        for number in some(server, step, folder / "trial", READS):
            trials.append(disturbances.unread(server, step, folder / "trial", number))
    tell("reads that failed", [trial for trial in trials if trial is not None])
