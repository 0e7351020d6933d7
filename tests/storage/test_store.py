"""Files below a URL: whole ones or none, in a folder as in an object store."""

from __future__ import annotations

import pytest

from earmark.storage.store import Store


def test_a_folder_has_whole_files_or_none_because_they_are_written_beside_their_place(tmp_path, monkeypatch):
    store = Store(f"file://{tmp_path / 'store'}")
    (tmp_path / "a").write_bytes(b"a shard")
    assert not store.atomic
    put_file = store.files.put_file

    def stopped(local: str, place: str) -> None:
        put_file(local, place)
        raise KeyboardInterrupt

    monkeypatch.setattr(store.files, "put_file", stopped)
    with pytest.raises(KeyboardInterrupt):
        store.put(tmp_path / "a", "features/x.h5")
    assert not store.has("features/x.h5")
    assert store.read("features/x.h5") is None
    monkeypatch.setattr(store.files, "put_file", put_file)
    store.put(tmp_path / "a", "features/x.h5")
    assert store.read("features/x.h5") == b"a shard"


def test_a_store_on_s3_holds_whole_files_or_none(tmp_path, monkeypatch):
    pytest.importorskip("moto", reason="needs moto, of earmark[test]")
    from test_sharing import KEYS, s3_server

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a").write_bytes(b"a shard")
    with s3_server() as url:
        import boto3

        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="shards")
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = Store("s3://shards/earmark")
        for copying in ("mv", "cp_file", "copy"):  # a put is a single one
            monkeypatch.setattr(store.files, copying, None)
        assert not store.has("features/x.h5")
        store.put(tmp_path / "a", "features/x.h5")
        assert store.has("features/x.h5")
        assert [name.rpartition("/")[2] for name in store.files.find(store.root)] == ["x.h5"]
        assert store.read("features/x.h5") == b"a shard"
        assert store.read("features/y.h5") is None
        store.get("features/x.h5", tmp_path / "deep" / "b")
        assert (tmp_path / "deep" / "b").read_bytes() == b"a shard"
        store.remove("features/x.h5")
        assert not store.has("features/x.h5")
        with pytest.raises(FileNotFoundError):
            store.get("features/x.h5", tmp_path / "deep" / "c")
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["b"]
