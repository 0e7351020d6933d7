from __future__ import annotations

import numpy as np
import pytest

from earmark.manifest import Clip, TagTable, read_manifest, read_tags, write_json, write_manifest, write_tags


def test_the_manifest_survives_the_round_trip_with_odd_characters(tmp_path):
    clips = [Clip("2", "a/it's \"odd\", isn't it-0-29.mp3", "a", "a/song, one", "ärtist", "train")]
    write_manifest(tmp_path / "manifest.csv", clips)
    assert read_manifest(tmp_path / "manifest.csv") == clips


def test_tags_survive_the_round_trip(tmp_path):
    table = TagTable(("7", "9"), ("no vocals", 'a,"b"'), np.array([[1, 0], [0, 1]], np.uint8))
    write_tags(tmp_path / "tags.csv", table)
    again = read_tags(tmp_path / "tags.csv")
    assert again.clip_ids == table.clip_ids
    assert again.tags == table.tags
    np.testing.assert_array_equal(again.values, table.values)


def test_a_failed_write_leaves_the_old_table_alone(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(path, [Clip("1", "a/x.mp3", "a", "s", "x", "train")])
    before = path.read_bytes()

    def broken():
        yield Clip("2", "a/y.mp3", "a", "s", "x", "train")
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_manifest(path, broken())
    assert path.read_bytes() == before


def test_a_metric_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"auc": float("nan")})
    assert not (tmp_path / "m.json").exists()
