"""Every write, sync, close and rename of an HDF5 file that fails is told by the file's name, and nothing crashes."""

from __future__ import annotations

import errno
import gc
import os
import threading

import numpy as np
import pytest

from earmark.embeddings import table
from earmark.embeddings.table import Entry, Shape
from earmark.errors import EarmarkError
from earmark.storage import hdf5_disk
from earmark.storage.shards import ShardWriter

CALLS = ("pwrite", "ftruncate", "fsync", "close", "replace", "posix_fallocate")


class Failing:
    """The calls of the system that this thread makes, of which the n-th fails; none if it is 0."""

    def __init__(self, monkeypatch, number, error):
        if not number:
            gc.collect()  # what earlier tests left closes its files now
        self.thread = threading.get_ident()  # others of this process have files of theirs
        self.count, self.number, self.error, self.hit = 0, number, error, ""
        for name in CALLS:
            if hasattr(os, name):
                monkeypatch.setattr(os, name, self._watched(getattr(os, name), name))

    def _watched(self, real, name):
        def call(*arguments):
            if threading.get_ident() != self.thread:
                return real(*arguments)
            self.count += 1
            if self.count != self.number:
                return real(*arguments)
            self.hit = name
            if name == "close":
                real(*arguments)
            raise OSError(self.error, os.strerror(self.error))

        return call


def refusal(write, folder):
    """Return what is said of a file that cannot be written, None if it is."""
    try:
        write(folder)
    except EarmarkError as refused:
        return str(refused)
    return None


def shard(dtype, capacity):
    def write(folder):
        with ShardWriter(folder / "x.h5", "features", capacity, (3, 2), dtype) as writer:
            writer.append(["a", "b"], np.ones((2, 3, 2), np.float32))
            writer.attributes = {"fingerprint": "f"}

    return write


def embeddings(folder):
    rows = [Entry("a", "0", np.zeros(1), np.ones((1, 3), np.float32))]
    table.write(folder / "x.h5", Shape(1, 3, "float32", 1, False), rows, {})


WRITERS = {
    "of its size": shard("f4", 2), "shorter": shard("f4", 3), "halved": shard(np.float16, 2),
    "growing": shard("f4", None), "embeddings": embeddings,
}  # fmt: skip

COPIED = [WRITERS[name] for name in ("shorter", "halved", "growing")]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_whatever_the_disk_refuses_is_told_and_the_old_file_stays(write, error, tmp_path):
    with pytest.MonkeyPatch.context() as patched:
        calls = Failing(patched, 0, error)
        write(tmp_path)
    content, untold = (tmp_path / "x.h5").read_bytes(), []
    for number in range(1, calls.count + 1):
        with pytest.MonkeyPatch.context() as patched:
            failing = Failing(patched, number, error)
            said = refusal(write, tmp_path)
            if said is None:
                untold.append(failing.hit)
            else:
                assert f"{tmp_path / 'x.h5'} cannot be written: {os.strerror(error)}" in said
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.h5", content)], number
    # A file system need not be able to reserve; and of a file that was only read, or copied, the end tells nothing.
    assert set(untold) <= {"posix_fallocate", "close"} | ({"pwrite", "ftruncate"} if write in COPIED else set())


@pytest.mark.parametrize("kind", [KeyError, OSError, RuntimeError])
def test_a_disk_that_fails_while_hdf5_reads_is_told_by_the_files_name(tmp_path, kind):
    shard("f4", 2)(tmp_path)
    said = "Unable to open object (file read failed: filename = 'x', errno = 5, error message = 'Input/output error')"
    with (
        pytest.raises(OSError, match="Input/output error") as told,
        hdf5_disk.ReadFile(tmp_path / "x.h5"),
    ):
        raise kind(said)
    assert (told.value.errno, told.value.filename) == (errno.EIO, str(tmp_path / "x.h5"))


def test_other_errors_of_a_reader_stay_what_they_are(tmp_path):
    shard("f4", 2)(tmp_path)
    with pytest.raises(KeyError, match="absent"), hdf5_disk.ReadFile(tmp_path / "x.h5") as file:
        file["absent"]
    with pytest.raises(ZeroDivisionError), hdf5_disk.ReadFile(tmp_path / "x.h5"):
        1 / 0  # noqa: B018
    with hdf5_disk.ReadFile(tmp_path / "x.h5") as file:
        assert file["features"].shape == (2, 3, 2)
