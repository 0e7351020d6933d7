"""The index of waveforms may come from anybody: what it names lies within the store, and its numbers are numbers."""

from __future__ import annotations

import pytest

from earmark.decode.index import INDEX, Entry, Index
from earmark.storage.sealed_json import sealed
from earmark.storage.shards import ShardError

ENTRY = {"fingerprint": "ab" * 32, "rows": 2, "found": {"clips": 2}, "rejected": [], "makers": {"soxr": "1"}}


def written(folder, **changed):
    (folder / INDEX).write_text(sealed({"settings": {}, "code": "c", "shards": {"rock": ENTRY}} | changed))
    return folder


def test_an_index_is_read_back(tmp_path):
    assert Index.read(written(tmp_path)) == Index({}, "c", {"rock": Entry(**ENTRY)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fingerprint", "/tmp/x/thesis"), ("fingerprint", "../ab"), ("fingerprint", 3), ("rows", "many"), ("rows", -1),
        ("rows", True), ("found", 5), ("found", {"clips": "2"}), ("rejected", 3), ("rejected", [["1", "a.mp3"]]),
        ("makers", []), ("makers", {"soxr": 1}), ("sounds", 3),
    ],
)  # fmt: skip
def test_what_an_index_says_of_a_shard_is_of_its_kind(tmp_path, name, value):
    told = rf"index\.json is no index of waveforms \(what it says of a shard's {name} cannot be\); run the stage decode"
    with pytest.raises(ShardError, match=told):
        Index.read(written(tmp_path, shards={"rock": ENTRY | {name: value}}))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"shards": {"../../evil": ENTRY}}, r"'\.\./\.\./evil' is no name of a shard"),
        ({"shards": {"": ENTRY}}, "'' is no name of a shard"),
        ({"settings": []}, "its settings or its code are something else"),
        ({"code": 5}, "its settings or its code are something else"),
    ],
)
def test_an_index_of_something_else_is_refused(tmp_path, changed, told):
    with pytest.raises(ShardError, match=rf"index\.json is no index of waveforms \({told}\)"):
        Index.read(written(tmp_path, **changed))


def test_an_index_that_is_nested_too_deep_is_refused(tmp_path):
    (tmp_path / INDEX).write_text("[" * 100_000)
    with pytest.raises(ShardError, match=r"index\.json is no index of waveforms \(its brackets are nested too deep\)"):
        Index.read(tmp_path)
