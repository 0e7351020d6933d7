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


def number_as_attribute(file):
    file.attrs["config"] = 5


def text_as_attribute_that_is_no_utf8(file):
    file.attrs["config"] = np.bytes_(b"\xff\xfe")


def many_attributes(file):
    for number in range(1001):
        file.attrs[str(number)] = ""


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
    number_as_attribute: "its attribute 'config' is no text: int64 of shape",
    text_as_attribute_that_is_no_utf8: "its attribute 'config' is not UTF-8",
    many_attributes: "it holds more than 1000 data sets, groups and attributes",
    many: "it holds more than 1000 data sets, groups and attributes",
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
        ({"change": replaced("axes", np.zeros(3))}, "/axes is no group"),
        ({"ids": (b"a", b"\xff", b"c")}, r"its clip_id b'\\xff' is not UTF-8"),
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


@pytest.mark.parametrize("rows", [ROWS, ROWS.astype(np.float16)], ids=lambda rows: str(rows.dtype))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_refused_and_named_by_their_clip(tmp_path, rows, value):
    def decoded(file):
        if rows.dtype == np.float16:
            file["centre"], file["scale"] = np.zeros(2, np.float32), np.ones(2, np.float32)

    rows = rows.copy()
    rows[1, 0] = value
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used \(2 of the 4 values of clip b are NaN or infinite\)"):
        open_shard(forged(tmp_path / "0.h5", decoded, rows))


@pytest.mark.parametrize(
    ("name", "value"),
    [("scale", 0), ("scale", -1), ("scale", np.nan), ("scale", 1e36), ("centre", np.inf), ("centre", np.nan)],
)
def test_what_float16_is_decoded_with_leaves_it_finite(tmp_path, name, value):
    vectors = {"centre": np.zeros(2, np.float32), "scale": np.ones(2, np.float32)}
    vectors[name][1] = value

    def decoded(file):
        file["centre"], file["scale"] = vectors["centre"], vectors["scale"]

    with pytest.raises(
        ShardError, match=r"0\.h5 cannot be used \(/centre and /scale must be finite, and scale above 0"
    ):
        open_shard(forged(tmp_path / "0.h5", decoded, ROWS.astype(np.float16)))


def edited(path, edit):
    """Change the bytes of a forged shard outside its rows, and seal it again."""
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)
    checksums.seal(path, "features")
    return path


def pointer(content):
    """Return where the attribute says at which place its text lies, one letter long."""
    text = (1).to_bytes(4, "little") + (content.index(b"GCOL") - checksums.SEAL).to_bytes(8, "little")
    return content.index(text) + 4


def endless(content):
    """Give the free space of the heap of texts no size: HDF5 would look for what follows it, for good."""
    free = content.index(b"GCOL") + 16 + 16 + 8  # heads of the heap and of its text, and the text of one letter
    assert content[free : free + 2] == b"\0\0"
    content[free + 8 : free + 16] = bytes(8)


def test_texts_over_which_hdf5_would_not_end_are_refused_before_it_sees_them(tmp_path):
    path = edited(forged(tmp_path / "0.h5", lambda _: None), endless)
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used \(its texts at byte \d+ have an impossible size"):
        open_shard(path)
    with h5py.File(path) as file, pytest.raises(DamageError, match="impossible size"):
        require_plain(file, path.stat().st_size)


def test_texts_that_hide_in_the_rows_are_not_seen_by_hdf5(tmp_path):
    def hide(content):
        heap, place, rows = content.index(b"GCOL"), pointer(content), found.offset
        content[rows : rows + 4096] = content[heap : heap + 4096]
        content[place : place + 8] = (rows - checksums.SEAL).to_bytes(8, "little")

    path = forged(tmp_path / "0.h5", lambda _: None, np.zeros((3, 2, 1024), np.float32))
    found = checksums.verify_rest(path)
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used \(.*bad global heap collection signature"):
        open_shard(edited(path, hide))


def test_texts_that_hdf5_cannot_read_are_refused_when_the_shard_is_opened(tmp_path):
    def unsigned(content):
        content[content.index(b"GCOL")] = 0

    with pytest.raises(ShardError, match=r"0\.h5 cannot be used \(.*bad global heap collection signature"):
        open_shard(edited(forged(tmp_path / "0.h5", lambda _: None), unsigned))


def test_texts_at_a_place_that_no_file_has_are_refused(tmp_path):
    def far(content):
        place = pointer(content)
        content[place : place + 8] = (1 << 63).to_bytes(8, "little")

    with pytest.raises(ShardError, match=r"0\.h5 cannot be used"):
        open_shard(edited(forged(tmp_path / "0.h5", lambda _: None), far))


def test_one_long_text_that_stands_for_many_does_not_fill_the_memory(tmp_path):
    def repeated(content):
        first = content.index((1000).to_bytes(4, "little"))
        content[first : first + 16 * 99] = content[first : first + 16] * 99

    path = forged(tmp_path / "0.h5", lambda file: file.create_dataset("axes/parts", data=["x" * 1000] + ["y"] * 98))
    with pytest.raises(ShardError, match=r"0\.h5 cannot be used \(its texts are longer than the file"):
        open_shard(edited(path, repeated))


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
