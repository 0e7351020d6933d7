"""Errors that a user can mend, and how a command ends on one."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a user does about an operating system's refusal, by errno; the rest is explained by its own text.
_CAUSES = {
    errno.ENOENT: "a typing mistake, or a stage that has not run yet (`dvc repro`, or `dvc pull` what others made)",
    errno.EACCES: "this user may not use it: see its owner and mode (`ls -l`)",
    errno.EPERM: "this user may not use it: see its owner and mode (`ls -l`)",
    errno.EISDIR: "a folder stands where a file is expected",
    errno.ENOTDIR: "a file stands where a folder is expected",
    errno.EEXIST: "a file stands where a folder is expected",
    errno.ENAMETOOLONG: "the file system takes no name of that length",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EFBIG: "a limit of this user (`ulimit -f`) or of the file system",
    errno.EIO: "the disk, or the share that it lies on, may be failing",
}
_NAMELESS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # what a read or a write of an open file meets: it tells no name
_HDF5 = re.compile(r"(?:filename = '([^']*)'.*)?\berrno = (\d+)", re.S)  # in the text of any error of h5py
_LONGEST = 2_000  # characters of a line: a value may be a list of lists of lists that aliases unfold to
VERBOSITY = "EARMARK_VERBOSITY"  # quiet, verbose or debug: the last one keeps tracebacks


class EarmarkError(ValueError):
    """Something the user can mend: the text names the file or key, the limit, the value and the likely cause."""


def reason(error: OSError) -> str:
    """Explain what the operating system refused, and the likely cause, without the file's name."""
    refused = error.strerror or str(error)
    return f"{refused}; {cause}" if (cause := _CAUSES.get(error.errno or 0)) else refused


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give a file's name to an OSError that has none: the system does not name what a read or a write of it is of."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def hdf5_refusal(error: BaseException | None, path: Path | None = None) -> OSError | None:
    """Return what the system refused HDF5, which h5py tells in the text of many an error; None of any other error.

    path: the file, for the error; without it the one of the text, if it names one.
    """
    if error is None or not (found := _HDF5.search(str(error))):
        return None
    number, name = int(found[2]), found[1] if path is None else str(path)
    return OSError(number, os.strerror(number), name or None)


@contextmanager
def explained() -> Iterator[None]:
    """End the process with exit code 1 and the error's text, without a traceback, if the user can mend it.

    That is an EarmarkError, a file that the operating system refuses, and a disk that is full or fails. A reader that
    went away (``earmark predict ... | head``) needs no words. All else is a fault of the program and keeps its
    traceback, as everything does with ``--debug``.
    """
    try:
        yield
        sys.stdout.flush()
    except EarmarkError as error:
        _end(str(error))
    except BrokenPipeError:
        # what is still buffered must not fail again when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is not None and error.errno is not None:
            _end_of_file(error)
        _end_if_hdf5(error)
        if error.errno in _NAMELESS:
            _end(reason(error))
        raise
    except (KeyError, RuntimeError) as error:
        _end_if_hdf5(error)
        raise


def _end_if_hdf5(error: Exception) -> None:
    """End the process if the operating system refused HDF5 a file that the error names."""
    if (refused := hdf5_refusal(error)) and refused.filename is not None:
        _end_of_file(refused)


def _end_of_file(error: OSError) -> None:
    """End on an error that names its file."""
    # of a rename it is the new name that somebody looks for
    _end(f"{os.fsdecode(error.filename if error.filename2 is None else error.filename2)}: {reason(error)}")


def _end(text: str) -> None:
    """End on the error that is being handled."""
    if os.environ.get(VERBOSITY) == "debug":
        import traceback

        traceback.print_exc()
    shown = (line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..." for line in text.split("\n"))
    print("error: " + "\n".join(shown), file=sys.stderr)
    raise SystemExit(1) from None
