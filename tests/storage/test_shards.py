"""Shards keep what was written, whole or not at all, and refuse what is damaged or something else."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest

from earmark.storage import shards
from earmark.storage.checksums import BLOCK, RowSums
from earmark.storage.shards import (
    ShardError,
    ShardWriter,
    attribute,
    clip_ids,
    fingerprint_of,
    open_all,
    open_shard,
    remove_others,
    shard_files,
)


def write(path, ids=("1", "2"), capacity=2, fingerprint="f", order=("a", "b")):
    with ShardWriter(path, "features", capacity, (3, 2), np.float32) as writer:
        for k, clip in enumerate(ids):
            writer.append([clip], np.full((1, 3, 2), k, np.float32))
        writer.axes = {key: np.arange(2.0) for key in order}
        writer.attributes = {"fingerprint": fingerprint} | {key: {"x": [1, "y"]} for key in order}


def test_rows_axes_and_attributes_are_read_back(tmp_path):
    write(tmp_path / "0.h5")
    with open_shard(tmp_path / "0.h5") as file:
        assert file["features"].shape == (2, 3, 2)
        assert file["features"].chunks is None  # contiguous
        np.testing.assert_array_equal(file["features"][1], np.ones((3, 2)))
        np.testing.assert_array_equal(file["axes"]["b"], [0, 1])
        assert attribute(file, "a") == {"x": [1, "y"]}
    assert clip_ids(tmp_path / "0.h5") == ["1", "2"]
    assert fingerprint_of(tmp_path / "0.h5") == "f"


def test_the_same_content_gives_the_same_bytes_in_any_order_of_attributes(tmp_path):
    write(tmp_path / "0.h5", order=("a", "b"))
    write(tmp_path / "1.h5", order=("b", "a"))
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "1.h5").read_bytes()


def test_a_shard_with_fewer_rows_than_allocated_has_the_same_bytes_as_one_of_its_size(tmp_path):
    write(tmp_path / "0.h5", capacity=9)
    write(tmp_path / "1.h5", capacity=2)
    with open_shard(tmp_path / "0.h5") as file:
        assert file["features"].shape == (2, 3, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.h5", "1.h5"]


def test_too_many_rows_are_refused(tmp_path):
    with pytest.raises(ShardError, match="2 rows are its limit, got 3"):
        write(tmp_path / "0.h5", ids=("1", "2", "3"))


def test_an_error_leaves_neither_a_shard_nor_a_temporary_file_and_an_old_shard_alone(tmp_path):
    write(tmp_path / "0.h5")
    before = (tmp_path / "0.h5").read_bytes()
    with pytest.raises(RuntimeError, match="killed"), ShardWriter(tmp_path / "0.h5", "features", 1, (2,), "f4"):
        raise RuntimeError("killed")
    assert [p.name for p in tmp_path.iterdir()] == ["0.h5"]
    assert (tmp_path / "0.h5").read_bytes() == before


def test_an_absent_or_damaged_shard_is_named(tmp_path):
    assert fingerprint_of(tmp_path / "0.h5") is None
    with pytest.raises(ShardError, match=r"0\.h5 does not exist; run the stage"):
        open_shard(tmp_path / "0.h5")
    (tmp_path / "0.h5").write_bytes(b"no HDF5")
    assert fingerprint_of(tmp_path / "0.h5") is None
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used .*does not begin with its seal.*run the stage"):
        open_shard(tmp_path / "0.h5")
    with pytest.raises(ShardError, match="holds no shard"):
        shard_files(tmp_path / "none")


def test_shards_of_former_folders_and_leftovers_are_removed(tmp_path):
    for name in ("0.h5", "1.h5"):
        write(tmp_path / name)
    (tmp_path / ".1.h5.tmp").write_bytes(b"half")
    assert remove_others(tmp_path, {"0"}) == ["1"]
    assert [p.name for p in tmp_path.iterdir()] == ["0.h5"]


def test_a_shard_of_other_settings_or_code_among_the_others_is_refused_with_both_fingerprints(tmp_path):
    for name, mark, config in (("0", "abc", {"T": 1}), ("1", "abd", {"T": 1}), ("2", "def", {"T": 2})):
        with ShardWriter(tmp_path / f"{name}.h5", "features", 1, (1, 1), np.float32) as writer:
            writer.append([name], np.ones((1, 1, 1), np.float32))
            writer.attributes = {"fingerprint": mark, "config": config, "code": "v1"}
    found = []
    with pytest.raises(
        ShardError, match=r'2\.h5 was made with config \{"T": 2\} \(fingerprint def\), but 0\.h5 .*abc'
    ) as error:
        found.extend(file["clip_id"][0] for file in open_all(tmp_path))
    assert found == [b"0", b"1"]
    assert "run the features stage again" in str(error.value)


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from earmark.storage.shards import ShardWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a quota: no file may grow beyond 100 kB
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with ShardWriter(Path(sys.argv[1]), "features", 64, (1000,), np.dtype(sys.argv[2])) as writer:
    for start in range(0, 64, 16):
        writer.append([str(start + i) for i in range(16)], np.ones((16, 1000), np.float32))
"""


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_full_disk_is_an_error_that_names_the_shard_and_leaves_nothing_half_written(tmp_path, dtype):
    write(tmp_path / "0.h5")
    command = [sys.executable, "-c", FULL, str(tmp_path / "1.h5"), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("earmark.storage.shards.ShardError: ")
    assert "1.h5 cannot be written" in last
    assert "File too large; a limit of this user" in last
    assert [p.name for p in tmp_path.iterdir()] == ["0.h5"]


def test_a_file_system_that_cannot_reserve_is_written_to_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    write(tmp_path / "0.h5")
    assert clip_ids(tmp_path / "0.h5") == ["1", "2"]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A shard of three blocks of rows as halves, with all that a shard can hold."""
    path = tmp_path_factory.mktemp("sealed") / "0.h5"
    rows = np.random.default_rng(0).standard_normal((150, 5, 3), dtype=np.float32)
    with ShardWriter(path, "features", 150, (5, 3), np.float16) as writer:
        for start in range(0, 150, 30):
            writer.append([f"clip {i}" for i in range(start, start + 30)], rows[start : start + 30])
        writer.axes = {"hz": np.arange(3.0)}
        writer.attributes = {"fingerprint": "f", "config": {"kind": "mel"}, "makers": {"torch": "2"}}
    return path


def test_any_flipped_bit_of_a_shard_is_found(sealed, tmp_path):
    content, chance = sealed.read_bytes(), random.Random(1)
    with h5py.File(sealed, "r") as file:
        rows = file["features"].id.get_offset()
    places = [0, 511, 512, rows, rows + 150 * 5 * 3 * 2 - 1, len(content) - 1]
    for byte in [
        *places,
        *(chance.randrange(len(content)) for _ in range(2_000 if os.environ.get("TORTURE") else 200)),
    ]:
        damaged = bytearray(content)
        damaged[byte] ^= 1 << chance.randrange(8)
        (tmp_path / "0.h5").write_bytes(damaged)
        with pytest.raises(ShardError, match=r"0\.h5 cannot be used \(.*run the stage that makes it again"):
            open_shard(tmp_path / "0.h5")
        assert fingerprint_of(tmp_path / "0.h5") is None


def test_a_shard_that_is_cut_off_or_continued_is_found(sealed, tmp_path):
    content = sealed.read_bytes()
    for changed in (*(content[:size] for size in (0, 1, 511, 512, 5_000, len(content) - 1)), content + b"\0"):
        (tmp_path / "0.h5").write_bytes(changed)
        with pytest.raises(ShardError, match=r"0\.h5 cannot be used"):
            open_shard(tmp_path / "0.h5")


def test_damage_is_told_by_its_rows(sealed, tmp_path):
    content = bytearray(sealed.read_bytes())
    with h5py.File(sealed, "r") as file:
        content[file["features"].id.get_offset() + (BLOCK + 3) * 5 * 3 * 2] ^= 1
    (tmp_path / "0.h5").write_bytes(content)
    with pytest.raises(ShardError, match=f"rows {BLOCK} to {2 * BLOCK - 1} are not what was written"):
        open_shard(tmp_path / "0.h5")


def test_hdf5_that_is_no_shard_is_named(tmp_path):
    with h5py.File(tmp_path / "0.h5", "w") as file:
        file["features"] = np.zeros((2, 3))
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used .*no shard of this version"):
        clip_ids(tmp_path / "0.h5")


def test_a_shard_is_verified_once_in_a_process_and_again_when_it_has_changed(sealed, tmp_path, monkeypatch):
    path, verified = tmp_path / "0.h5", []
    path.write_bytes(sealed.read_bytes())
    original = shards.verify
    monkeypatch.setattr(shards, "verify", lambda file: (verified.append(file), original(file)))
    for _ in range(3):
        open_shard(path).close()
    assert verified == [path]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ShardError):
        open_shard(path)
    assert verified == [path, path]


def test_rows_have_the_same_sums_in_pieces_of_any_size():
    rows = np.random.default_rng(0).integers(0, 99, (200, 7), np.int16)
    whole = [zlib.crc32(rows[start : start + BLOCK].tobytes()) for start in range(0, 200, BLOCK)]
    for size in (1, 7, BLOCK, 90, 200):
        sums = RowSums()
        for start in range(0, 200, size):
            sums.add(rows[start : start + size])
        assert sums.values().tolist() == whole


def test_makers_that_differ_are_not_mixed_in_silence(tmp_path):
    for name, version in (("0", "2.13"), ("1", "2.14")):
        with ShardWriter(tmp_path / f"{name}.h5", "features", 1, (1, 1), np.float32) as writer:
            writer.append([name], np.zeros((1, 1, 1), np.float32))
            writer.attributes = {"fingerprint": "f", "config": {}, "code": "c", "makers": {"torch": version}}
    with pytest.raises(ShardError, match=r'1\.h5 was made with makers \{"torch": "2\.14"\}.* 0\.h5 .*"2\.13"'):
        list(open_all(tmp_path))
