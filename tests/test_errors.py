"""How a command ends: an error that a user can mend is a line, a fault of the program a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from earmark.errors import EarmarkError, explained, naming


def ending(capsys, error):
    with pytest.raises(SystemExit) as stop, explained():
        raise error
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_an_error_that_the_user_can_mend_ends_with_exit_code_1_and_no_traceback(capsys):
    assert ending(capsys, EarmarkError("key x must be positive, got -1")) == "error: key x must be positive, got -1\n"


def test_a_value_that_goes_on_without_end_is_cut(capsys):
    told = ending(capsys, EarmarkError(f"key x must be 1, got {'[' * 9_000}\nkey y is missing"))
    assert [len(line) for line in told.splitlines()] == [2_011, 16]
    assert told.endswith("[[[ ...\nkey y is missing\n")


def test_what_the_operating_system_refuses_is_told_with_the_file_and_a_cause(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    for act, told in (
        (lambda: (tmp_path / "absent").read_text(), "absent: No such file or directory; a typing mistake, or a stage"),
        (lambda: tmp_path.read_text(), ": Is a directory; a folder stands where a file is expected"),
        (lambda: (file / "x").read_text(), "file/x: Not a directory; a file stands where a folder is expected"),
        (lambda: (tmp_path / ("x" * 300)).read_text(), "File name too long; the file system takes no name of that"),
    ):
        with pytest.raises(SystemExit), explained():
            act()
        shown = capsys.readouterr().err
        assert shown.startswith(f"error: {tmp_path}")
        assert told in shown
    refused = PermissionError(13, "Permission denied", str(file))  # root may do everything
    assert ending(capsys, refused).startswith(f"error: {file}: Permission denied; this user may not use it")


def test_a_full_disk_needs_no_file_name(capsys):
    told = ending(capsys, OSError(28, "No space left on device"))
    assert told == "error: No space left on device; free some space and run it again\n"


@pytest.mark.parametrize("kind", [KeyError, RuntimeError, OSError])
def test_a_disk_that_fails_within_hdf5_is_told_by_the_file(capsys, kind):
    text = "Unable to open object (file read failed: time = Mon\n, filename = 'a/b.h5', errno = 5, buf = 0x1"
    assert ending(capsys, kind(text)).startswith("error: a/b.h5: Input/output error; the disk, or the share")


def test_a_read_of_an_open_file_that_fails_needs_no_name(capsys):
    assert ending(capsys, OSError(5, "Input/output error")).startswith("error: Input/output error; the disk")


@pytest.mark.parametrize("error", [KeyError("a bug"), ValueError("a bug"), OSError("of a library, without a number")])
def test_other_errors_keep_their_traceback(error):
    with pytest.raises(type(error)), explained():
        raise error


def test_a_reader_that_goes_away_is_no_error():
    program = "from earmark.errors import explained\nwith explained():\n    for i in range(100_000): print(i)\n"
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$0" | head -1; exit ${{PIPESTATUS[0]}}', program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 1)


def test_what_has_no_name_is_given_one_and_what_has_keeps_it(capsys):
    def act(error):
        with naming(Path("a/b.ckpt")):
            raise error

    with pytest.raises(SystemExit), explained():
        act(OSError(28, "No space left on device"))
    assert capsys.readouterr().err.startswith("error: a/b.ckpt: No space left on device; free some space")
    for error in (FileNotFoundError(2, "No such file or directory", "other"), OSError("of a library"), ValueError()):
        with pytest.raises(type(error)) as told:
            act(error)
        assert told.value is error


def test_a_rename_that_is_refused_is_told_by_the_new_name(tmp_path, capsys):
    (tmp_path / "x.tmp").touch()
    (tmp_path / "x/full").mkdir(parents=True)
    with pytest.raises(SystemExit), explained():
        (tmp_path / "x.tmp").replace(tmp_path / "x")
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'x'}: ")
