"""A shard from anybody, whose checksums are right, shows no other file, and nothing but rows of finite numbers."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from earmark.storage import checksums, shards
from earmark.storage.checksums import DamageError, RowSums
from earmark.storage.shard_checks import require_plain
from earmark.storage.shards import ShardError, ShardWriter, open_shard

ROWS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)


def forged(path, change, rows=ROWS, ids=("a", "b", "c"), axes=True):
    """Write what has all checksums of a shard, as an attacker would; ``change`` adds to the open file."""
    with h5py.File(path, "w", userblock_size=checksums.SEAL) as file:
        file["features"], file["clip_id"] = rows, np.array(ids, "S1")
        sums = RowSums()
        sums.add(rows)
        file["crc32"] = sums.values()
        if axes:
            file.create_group("axes")
        file.attrs["fingerprint"] = "f"
        change(file)
    checksums.seal(path, "features")
    return path


def external_link(file):
    file["axes/hz"] = h5py.ExternalLink("secret.h5", "/key")


def soft_link(file):
    file["axes/hz"] = h5py.SoftLink("/features")


def external_storage(file):
    file.create_dataset("axes/hz", (8,), np.uint8, external=[("secret.txt", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((8,), np.float32)
    layout[:] = h5py.VirtualSource("secret.h5", "key", (8,))
    file.create_virtual_dataset("axes/hz", layout)


def never_written(file):
    file.create_dataset("axes/hz", (1 << 33,), np.float32)  # 32 GiB in a file of some kB


def compound(file):
    file["axes/hz"] = np.zeros(2, [("a", np.float32), ("b", np.int16)])


def reference(file):
    file["axes/hz"] = np.array([file["features"].ref], dtype=h5py.ref_dtype)


def numbers_of_any_count(file):
    data = file.create_dataset("axes/hz", (1,), h5py.vlen_dtype(np.int32))
    data[0] = [1, 2]


def compressed(file):
    file.create_dataset("axes/hz", data=np.zeros(1000), compression="gzip")


def nested(file):
    file.create_group("axes/more/and/more")


def circle(file):
    file["axes/all"] = file["/"]


def named_type(file):
    file["axes/hz"] = np.dtype("f8")


def table_as_attribute(file):
    file.attrs["config"] = np.zeros(3)


def many(file):
    for number in range(1001):
        file[f"axes/{number}"] = 0


HOSTILE = {
    external_link: "/axes/hz is no data set but a link .ExternalLink., maybe to another file",
    soft_link: "/axes/hz is no data set but a link .SoftLink.",
    external_storage: "the values of /axes/hz lie in another file",
    virtual: "the values of /axes/hz lie in another file",
    never_written: "/axes/hz declares 34359738368 bytes, but the file of .* has 0 for it",
    compound: "/axes/hz holds .*, where numbers or texts are expected",
    reference: "/axes/hz holds object, where numbers or texts are expected",
    numbers_of_any_count: "/axes/hz holds object, where numbers or texts are expected",
    compressed: "/axes/hz is compressed or in chunks",
    nested: "/axes/more is neither a data set nor a group",
    circle: "/axes/all is neither a data set nor a group",
    named_type: "/axes/hz is neither a data set nor a group",
    table_as_attribute: "its attribute 'config' is no text: float64 of shape",
    many: "it holds more than 1000 data sets and groups",
}


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_what_hdf5_can_do_beyond_plain_rows_is_refused_whatever_the_checksums_say(tmp_path, change):
    (tmp_path / "secret.txt").write_bytes(b"password")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["key"] = np.arange(8, dtype=np.float32)
    path = forged(tmp_path / "0.h5", change)
    checksums.verify_rest(path)  # the checksums are right
    with pytest.raises(ShardError, match=rf"0\.h5 cannot be used \({HOSTILE[change]}"):
        open_shard(path)


def test_rows_themselves_may_lie_nowhere_else(tmp_path):
    def elsewhere(file):
        file.create_dataset("features", ROWS.shape, np.float32, external=[("secret.txt", 0, ROWS.nbytes)])

    (tmp_path / "secret.txt").write_bytes(bytes(ROWS.nbytes))
    path = tmp_path / "0.h5"
    with h5py.File(path, "w", userblock_size=checksums.SEAL) as file:
        elsewhere(file)
    with h5py.File(path) as file, pytest.raises(DamageError, match="the values of /features lie in another file"):
        require_plain(file, path.stat().st_size)


def test_what_is_forged_without_a_trick_is_a_shard(tmp_path):
    with open_shard(forged(tmp_path / "0.h5", lambda file: file.create_dataset("axes/parts", data="mel"))) as file:
        np.testing.assert_array_equal(file["features"][:], ROWS)


def replaced(name, value):
    def change(file):
        del file[name]
        if value is not None:
            file[name] = value

    return change


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"ids": ("a", "b")}, r"it has 3 rows and clip_id of shape \(2,\)"),
        ({"ids": ("a", "b", "a")}, "clip a stands in it twice"),
        ({"rows": ROWS.astype(np.int16)}, r"/features holds int16 of shape \(3, 2, 2\)"),
        ({"rows": ROWS.astype(np.float64)}, "/features holds float64"),
        ({"rows": ROWS.astype(np.float16)}, "/features holds float16"),  # without centre and scale
        ({"rows": ROWS.ravel()}, r"/features holds float32 of shape \(12,\)"),
        ({"axes": False}, "rows, clip_id, crc32 or axes are missing"),
        ({"change": replaced("crc32", None)}, "rows, clip_id, crc32 or axes are missing"),
        ({"change": replaced("crc32", np.zeros(5, np.uint32))}, r"crc32 of shape \(5,\)"),
        ({"change": replaced("clip_id", np.arange(3))}, r"clip_id of shape \(3,\), int64"),
        ({"change": replaced("clip_id", ["a", "b", "c"])}, r"clip_id of shape \(3,\), object"),
    ],
)
def test_data_sets_that_do_not_fit_each_other_are_named(tmp_path, made, told):
    if made.get("rows") is not None and made["rows"].ndim == 1:
        made |= {"ids": tuple("abcdefghijkl")}
    with pytest.raises(ShardError, match=rf"0\.h5 cannot be used \(.*{told}"):
        open_shard(forged(tmp_path / "0.h5", **{"change": lambda _: None} | made))


@pytest.mark.parametrize(
    ("offset", "size", "row"),
    [(-1, 48, 16), (511, 48, 16), (600, 1 << 40, 16), (600, -48, 16), (600, 48.0, 16), (600, 16, 16)],
)
def test_a_seal_that_points_elsewhere_is_refused(tmp_path, offset, size, row):
    path = forged(tmp_path / "0.h5", lambda _: None)
    content = path.read_bytes()
    wrong = checksums.Seal(offset, size, row, "0" * 64)
    path.write_bytes(wrong.encode() + content[checksums.SEAL :])
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used"):
        open_shard(path)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_at_the_write_and_named_by_its_clip(tmp_path, dtype, value):
    rows = ROWS.copy()
    rows[1, 0, 1] = value
    told = r"0\.h5: 1 of the 4 values of clip b are NaN or infinite"
    with (
        pytest.raises(ShardError, match=told),
        ShardWriter(tmp_path / "0.h5", "features", 3, (2, 2), dtype) as writer,
    ):
        writer.append(list("abc"), rows)
    assert not list(tmp_path.iterdir())


def test_segments_of_a_clip_stand_together(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "features", None, (2, 2), "float32") as writer:
        writer.append(["a", "a", "b"], ROWS)
    assert shards.clip_ids(tmp_path / "0.h5") == ["a", "a", "b"]
