"""A disk that fails is not the end of a file, whichever decoder reads it; the way to the bytes changes no sample."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.decode import bytes_of_file, reading, worker
from earmark.decode.audio import decode
from earmark.decode.bytes_of_file import FileBytes
from earmark.decode.reader import DiskError, RejectedError

RATE = 16_000
FORMATS = {"wav": {}, "flac": {}, "ogg": {}, "mp3": {}, "aiff": {}}


class Failing(io.FileIO):
    """A file of which one read fails: the one with the number ``fails``, from 0 on."""

    fails = -1
    error = errno.EIO

    def readinto(self, buffer):
        Failing.fails -= 1
        if Failing.fails == -1:
            raise OSError(Failing.error, os.strerror(Failing.error))
        return super().readinto(buffer)

    def read(self, size=-1):
        content = bytearray(size)
        return bytes(content[: self.readinto(content)])


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    noise = np.random.default_rng(1).standard_normal((8 * RATE, 2)) / 8
    for name in FORMATS:
        soundfile.write(folder / f"a.{name}", noise, RATE)
    return folder


@pytest.fixture
def disk(monkeypatch):
    """Let a read fail: ``disk(number)``."""
    monkeypatch.setattr(Path, "open", lambda path, _: Failing(path))

    def fail(number, error=errno.EIO):
        Failing.fails, Failing.error = number, error

    yield fail
    Failing.fails = -1


def heard(path):
    source = reading.open_source(path)
    try:
        return np.concatenate([block for _, block in reading.blocks(source)])
    finally:
        source.close()


def opened():
    return len([*Path("/proc/self/fd").iterdir()])


def by_the_disk(monkeypatch):
    monkeypatch.setattr(bytes_of_file, "COPIED", 0)


@pytest.mark.parametrize("name", FORMATS)
def test_a_copy_in_memory_is_heard_like_the_file(music, name, monkeypatch):
    copied = heard(music / f"a.{name}")
    by_the_disk(monkeypatch)
    assert len(copied) >= 8 * RATE
    np.testing.assert_array_equal(copied, heard(music / f"a.{name}"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_read_that_fails_while_a_file_is_copied_is_told(music, name, disk):
    disk(0)
    with pytest.raises(DiskError, match="not readable: Input/output error"):
        heard(music / f"a.{name}")


@pytest.mark.parametrize("name", FORMATS)
def test_none_of_the_reads_of_a_large_file_fails_in_silence(music, name, disk, monkeypatch):
    by_the_disk(monkeypatch)
    path = music / f"a.{name}"
    disk(10_000_000)
    whole = heard(path)
    count = 10_000_000 - Failing.fails
    assert count > 3
    for number in sorted({*range(0, count, max(1, count // 20)), count - 1}):
        disk(number)
        with pytest.raises(DiskError):
            heard(path)
    disk(-1)
    np.testing.assert_array_equal(whole, heard(path))


@pytest.mark.parametrize("name", FORMATS)
def test_the_beginning_of_a_file_of_which_a_read_fails_is_as_it_is_or_not_there(music, name, disk, monkeypatch):
    by_the_disk(monkeypatch)
    settings = music / f"a.{name}", RATE, 3 * RATE, 1.0
    disk(10_000_000)
    whole = decode(*settings)
    for number in range(10_000_000 - Failing.fails):
        disk(number)
        with contextlib.suppress(DiskError):
            found = decode(*settings)
            np.testing.assert_array_equal(found.waves, whole.waves)
            assert found.incomplete == ""


def test_a_file_that_is_not_permitted_is_rejected_and_may_be_remembered(music, disk):
    disk(0, errno.EACCES)
    with pytest.raises(RejectedError, match="not readable: Permission denied") as told:
        heard(music / "a.wav")
    assert not isinstance(told.value, DiskError)


def test_a_file_that_is_cut_short_while_it_is_copied_is_as_long_as_what_came():
    class Shrinking(io.BytesIO):
        def seek(self, place, whence=io.SEEK_SET):
            return 100 if whence == io.SEEK_END else super().seek(place, whence)

    data = FileBytes(Shrinking(b"x" * 60))
    assert (data.size, data.at(50, 40)) == (60, b"x" * 10)
    assert os.fstat(data.whole()).st_size == 60
    assert FileBytes(Shrinking()).at(0, 10) == b""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what is open is listed in /proc")
def test_nothing_stays_open(music):
    gc.collect()  # what earlier tests have left may be closed at any time
    before = opened()
    for name in FORMATS:
        heard(music / f"a.{name}")
        source = reading.open_source(music / f"a.{name}")
        source.close()
        source.close()
    assert opened() <= before


@pytest.mark.parametrize("kind", FORMATS)
def test_where_a_sandbox_forbids_files_in_memory_the_samples_are_the_same(music, monkeypatch, kind):
    def forbidden(_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    expected = heard(music / f"a.{kind}")
    monkeypatch.setattr(os, "memfd_create", forbidden)
    data = FileBytes((music / f"a.{kind}").open("rb"))
    assert isinstance(data.whole(), bytes_of_file.Spliced)
    data.close()
    np.testing.assert_array_equal(heard(music / f"a.{kind}"), expected)
    os.close(worker.shared_file())
