"""Tables of embeddings: three formats, the same rows, the same bytes, complete or not at all."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from earmark.embeddings import table
from earmark.embeddings.table import Entry, Shape
from earmark.errors import EarmarkError

MARK = {"model": "mine", "layer": "", "sha256": "0" * 64}
NAMES = ("a.mp3", "bé\n😀.mp3", "c.mp3")


def entries(segments=1, scale=1.0):
    rng = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        values = (scale * rng.normal(size=(segments, 4))).astype(np.float32)
        yield Entry(name, f"{number}" * 64, 1.75 * np.arange(segments), values)


def write(out, segments=1, dtype="float32", **options):
    shape = Shape(3 * segments, 4, dtype, max(len(name.encode()) for name in NAMES), segments > 1)
    table.write(out, shape, entries(segments, **options), MARK)
    return out


def expected(segments=1):
    return np.concatenate([entry.embedding for entry in entries(segments)])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("segments", [1, 3])
def test_hdf5_holds_paths_starts_and_embeddings_contiguous(tmp_path, segments, dtype, monkeypatch):
    monkeypatch.setattr(table, "_BLOCK", 2)
    with h5py.File(write(tmp_path / "x.h5", segments, dtype)) as file:
        assert file["path"].asstr()[:].tolist() == [name for name in NAMES for _ in range(segments)]
        assert file["embedding"].dtype == dtype
        assert file["embedding"].chunks is None
        np.testing.assert_allclose(file["embedding"][:], expected(segments), rtol=2**-10 * (dtype == "float16"))
        assert ("start" in file) == (segments > 1)
        about = dict(file.attrs)
        assert len(about.pop("checksum")) == 64
        assert about == MARK | {"kind": "earmark embeddings 1"}
    read = list(table.read(tmp_path / "x.h5"))
    assert [entry.path for entry in read] == list(NAMES)
    assert [entry.source for entry in read] == [entry.source for entry in entries()]
    assert {entry.embedding.shape for entry in read} == {(segments, 4)}
    assert table.mark_of(tmp_path / "x.h5") == MARK


def test_npz_needs_no_pickle(tmp_path):
    with np.load(write(tmp_path / "x.npz", 3), allow_pickle=False) as file:
        assert file["path"].tolist() == [name for name in NAMES for _ in range(3)]
        assert file["start"].tolist() == [0, 1.75, 3.5] * 3
        np.testing.assert_array_equal(file["embedding"], expected(3))
        assert json.loads(str(file["about"]))["model"] == "mine"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet_has_a_list_of_one_length_per_row(tmp_path, dtype):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow, of earmark[parquet]")
    found = parquet.read_table(write(tmp_path / "x.parquet", 3, dtype))
    assert found["path"].to_pylist() == [name for name in NAMES for _ in range(3)]
    np.testing.assert_allclose(np.array(found["embedding"].to_pylist()), expected(3), rtol=2e-3)
    assert found.schema.metadata[b"model"] == b"mine"
    assert found.schema.names == ["path", "source", "start", "embedding"]


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_the_same_rows_are_the_same_bytes(tmp_path, suffix):
    first, second = (write(tmp_path / f"{name}{suffix}", 3).read_bytes() for name in "ab")
    assert first == second


def test_a_format_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    with pytest.raises(EarmarkError, match=r"--out must end in one of \.h5, \.npz, \.parquet, got 'x\.csv'"):
        table.require_format(tmp_path.with_name("x.csv").relative_to(tmp_path.parent))
    monkeypatch.setattr(table.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EarmarkError, match=r"pip install 'earmark\[parquet\]'"):
        table.require_format(tmp_path / "x.parquet")


def test_nothing_is_left_of_a_table_that_fails_and_what_was_there_stays(tmp_path):
    before = write(tmp_path / "x.h5").read_bytes()
    with pytest.raises(EarmarkError, match=r"float16 holds values up to 65504, got .*; leave --dtype out"):
        write(tmp_path / "x.h5", dtype="float16", scale=1e6)
    assert (tmp_path / "x.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]
    (tmp_path / "file").touch()
    with pytest.raises(EarmarkError, match=r"y\.h5 cannot be written: .*"):
        write(tmp_path / "file/y.h5")


def test_something_else_is_not_written_over(tmp_path):
    assert table.mark_of(tmp_path / "x.h5") is None
    (tmp_path / "x.h5").write_bytes(b"notes")
    with pytest.raises(EarmarkError, match=r"x\.h5 is there already, and is no table of embeddings"):
        table.mark_of(tmp_path / "x.h5")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(EarmarkError, match="no table of embeddings"):
        table.mark_of(tmp_path / "y.h5")


def put(name, values):
    def edit(file):
        del file[name]
        file[name] = values

    return edit


def as_a_group(file):
    del file["path"]
    file.create_group("path")


TEXTS = np.array([b"a", b"b", b"c"])
DAMAGES = {
    "a row short": (put("embedding", np.zeros((2, 4), "f4")), "embedding holds float32 of shape .2, 4., where 3 rows"),
    "1-D": (put("embedding", np.zeros(3, "f4")), "embedding holds"),
    "3-D": (put("embedding", np.zeros((3, 2, 2), "f4")), "embedding holds"),
    "no width": (put("embedding", np.zeros((3, 0), "f4")), "embedding holds"),
    "texts": (put("embedding", TEXTS[:, None]), "embedding holds"),
    "doubles": (put("embedding", np.full((3, 4), 1e300)), "embedding holds float64"),
    "NaN": (put("embedding", np.full((3, 4), np.nan, "f4")), "embedding has values that are NaN"),
    "numbers for paths": (put("path", np.arange(3)), "path holds int64"),
    "paths that are no text": (put("path", np.array([b"\xff", b"b", b"c"])), "can't decode byte 0xff"),
    "2-D paths": (put("path", TEXTS[:, None]), "path holds"),
    "a scalar": (put("path", b"a"), "path holds"),
    "no path": (put("path", np.zeros(0, "S3")), "path holds"),
    "a path twice": (put("path", np.array([b"a", b"b", b"a"])), "a file stands in it twice"),
    "a path twice in a row": (put("path", np.array([b"a", b"a", b"b"])), "a file stands in it twice"),
    "a group": (as_a_group, "path is absent"),
    "too few sources": (put("source", TEXTS[:1]), "source holds"),
    "sources by number": (put("source", np.arange(3)), "source holds"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("old", [True, False])
def test_a_table_that_is_not_what_was_written_is_refused_with_its_checksum_or_without(tmp_path, damage, old):
    edit, told = DAMAGES[damage]
    with h5py.File(write(tmp_path / "x.h5"), "r+") as file:
        edit(file)
        if old:
            del file.attrs["checksum"]
    with pytest.raises(EarmarkError, match=rf"x\.h5 is damaged \(.*{told if old else ''}.*; delete it, and it is made"):
        list(table.read(tmp_path / "x.h5"))


@pytest.mark.parametrize("starts", [np.zeros(1), TEXTS, np.full(9, np.inf)])
def test_segments_that_begin_at_no_time_are_refused(tmp_path, starts):
    with h5py.File(write(tmp_path / "x.h5", 3), "r+") as file:
        put("start", starts)(file)
    with pytest.raises(EarmarkError, match=r"x\.h5 is damaged \(its column start h"):
        list(table.read(tmp_path / "x.h5"))


def test_a_value_that_has_become_another_is_noticed_but_in_a_table_that_never_had_a_checksum(tmp_path):
    with h5py.File(write(tmp_path / "x.h5"), "r+") as file:
        file["embedding"][1, 0] = 77
    with pytest.raises(EarmarkError, match=r"x\.h5 is damaged \(its checksum is that of other rows\)"):
        list(table.read(tmp_path / "x.h5"))
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        del file.attrs["checksum"]
    assert [entry.path for entry in table.read(tmp_path / "x.h5")] == list(NAMES)
    assert table.mark_of(tmp_path / "x.h5") == MARK


def test_an_embedding_that_is_not_finite_is_named(tmp_path):
    with pytest.raises(EarmarkError, match=r"x\.h5: the embedding of 'a\.mp3' has values that are NaN or infinite"):
        write(tmp_path / "x.h5", scale=np.nan)
