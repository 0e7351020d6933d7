"""The command that runs stages of clones in forks: they end, read and print as with a Python of their own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from helpers.clones import Clone

SAYS = """
import os, sys, torch
from earmark import mine
print(mine.NAME, os.getcwd(), sys.argv[1:], sys.stdin.read(), os.environ["SAID"], "pytest" in sys.modules)
print("a complaint", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "stages").mkdir()
    (tmp_path / "src/earmark").mkdir(parents=True)
    (tmp_path / "src/earmark/__init__.py").touch()
    (tmp_path / "src/earmark/mine.py").write_text("NAME = 'of this clone'")
    return Clone(tmp_path, SAID="yes", OMP_NUM_THREADS="1").warm()


def begin(clone, name, script, *arguments):
    (clone.folder / f"stages/{name}.py").write_text(script)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = ["sh", "-c", 'exec python "$@"', "sh", f"stages/{name}.py", *arguments]  # PATH is the clone's
    return subprocess.Popen(command, cwd=clone.folder, env=clone.environment, text=True, **pipes)


def test_a_stage_has_the_clones_code_folder_and_environment_and_the_callers_arguments_input_and_output(clone):
    stage = begin(clone, "says", SAYS, "one", "--two")
    output, errors = stage.communicate("typed")
    assert output == f"of this clone {clone.folder} ['one', '--two'] typed yes False\n"
    assert (errors, stage.returncode) == ("a complaint\n", 7)


def test_an_exception_is_printed_and_a_signal_ends_the_command_too(clone):
    stage = begin(clone, "fails", "raise ValueError('of the stage')")
    assert "ValueError: of the stage" in stage.communicate()[1]
    assert stage.returncode == 1
    stage = begin(clone, "ends", "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)")
    stage.communicate()
    assert stage.returncode == -signal.SIGTERM


def test_whoever_ends_the_command_ends_the_stage(clone):
    stage = begin(clone, "waits", "import time\nprint('begun', flush=True)\ntime.sleep(20)\nopen('ended', 'w')\n")
    assert stage.stdout.readline() == "begun\n"
    stage.kill()
    assert stage.stdout.read() == ""  # nobody has it open any more
    assert not (clone.folder / "ended").exists()
    stage.communicate()


def test_what_is_no_stage_and_a_stage_with_another_number_of_threads_run_in_their_own_process(clone):
    shown = "import sys; print(sys.executable, 'torch' in sys.modules)"
    assert clone.run("sh", "-c", f'python -c "{shown}"') == f"{sys.executable} False\n"
    assert begin(clone, "shows", shown).communicate()[0] == f"{sys.executable} True\n"
    clone.environment["OMP_NUM_THREADS"] = "2"
    assert begin(clone, "shows", shown).communicate()[0] == f"{sys.executable} False\n"


def test_stages_run_beside_each_other(clone):
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.01)\n"
    with begin(clone, "first", wait) as first, begin(clone, "second", "open('go', 'w').close()") as second:
        assert (second.wait(60), first.wait(60)) == (0, 0)
