"""A damaged record of DVC's locks is found by DVC's own rules, and mended where no DVC runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError, rwlock

from earmark.doctor import lock

HELD = json.dumps({"write": {"/x": {"pid": 1, "cmd": "dvc repro"}}, "read": {}})
DAMAGED = ["", HELD[: len(HELD) // 2], "[]", '{"write": {"/x": {"pid": "1"}}}', "\x00" * 40]


@pytest.fixture
def root(tmp_path):
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    return tmp_path


def record(root, text):
    path = root / ".dvc/tmp/rwlock"
    path.write_text(text)
    return path


def dvc_takes_it(root):
    """Have DVC itself read and write the record."""
    from dvc.fs import localfs

    with rwlock(str(root / ".dvc/tmp"), localfs, "test", [], [str(root / "data")], False):
        pass


@pytest.mark.parametrize("text", DAMAGED)
def test_what_dvc_cannot_read_is_an_error_and_is_mended(root, text):
    path = record(root, text)
    with pytest.raises((RWLockFileCorruptedError, RWLockFileFormatError)):
        dvc_takes_it(root)
    (line,) = lock.lock(root, mend=False)
    assert (line.state, line.mend) == ("error", "earmark doctor --mend")
    assert str(path) in line.text
    assert path.read_text() == text
    (line,) = lock.lock(root, mend=True)
    assert line.state == "ok"
    assert not path.exists()
    dvc_takes_it(root)


@pytest.mark.parametrize("text", [None, "{}", HELD])
def test_what_dvc_can_read_stays_as_it_is(root, text):
    path = root / ".dvc/tmp/rwlock"
    if text is not None:
        record(root, text)
    (line,) = lock.lock(root, mend=True)
    assert line.state == "ok"
    assert text is None or path.read_text() == text


def test_nothing_is_mended_while_dvc_runs_here(root):
    path = record(root, "")
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, "dvc", "repro"]
    running = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        running.stdout.readline()
        assert lock.dvc_processes(root) == [running.pid]
        (line,) = lock.lock(root, mend=True)
        assert line.state == "error"
        assert f"process {running.pid}" in line.text
        assert path.exists()
    finally:
        running.communicate()
    assert lock.dvc_processes(root) == []


def test_a_dvc_in_another_repository_is_none_of_ours(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, "dvc"], cwd=elsewhere, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        running.stdout.readline()
        assert running.pid not in lock.dvc_processes(root)
    finally:
        running.communicate()


def test_this_process_is_no_dvc():
    assert os.getpid() not in lock.dvc_processes(lock.Path("/"))
