"""Rows follow the labels, and the batches of an epoch follow its seed and number alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark.corpus.label_table import write_labels
from earmark.corpus.manifest import Clip, TagTable
from earmark.features.dataset import Batches, Split, load, origin
from earmark.features.standardize import Standardizer
from earmark.storage.shards import ShardError, ShardWriter


@pytest.fixture
def place(tmp_path):
    """Ten clips: even ones train, odd ones test; clip 8 has no features; the shards hold them in another order."""
    for name, ids in {"a": [7, 3, 0], "b": [1, 2, 4, 5, 6, 9]}.items():
        with ShardWriter(tmp_path / "f" / f"{name}.h5", "features", len(ids), (2, 1), np.float32) as writer:
            writer.append([str(i) for i in ids], np.array(ids, np.float32)[:, None, None].repeat(2, axis=1))
    clips = [Clip(str(i), "", "", f"song{i // 4}", "", "test" if i % 2 else "train") for i in range(10)]
    values = np.array([[i % 2, i // 5] for i in range(10)], np.uint8)
    write_labels(tmp_path / "labels.csv", clips, TagTable(tuple(map(str, range(10))), ("odd", "big"), values))
    Standardizer(np.float32([4]), np.float32([0.5]), 5).save(tmp_path / "s.json")
    return tmp_path / "f", tmp_path / "labels.csv", tmp_path / "s.json"


def test_rows_follow_the_labels_and_are_standardised(place):
    split = load(*place, "train")
    assert [c.clip_id for c in split.clips] == ["0", "2", "4", "6"]
    np.testing.assert_array_equal(split.features[:, 0, 0], [-2, -1, 0, 1])
    np.testing.assert_array_equal(split.targets[:, 1], [0, 0, 0, 1])
    assert split.missing == 1
    assert [c.song for c in split.clips] == ["song0", "song0", "song1", "song1"]


def test_a_split_without_features_is_an_error(place):
    with pytest.raises(ShardError, match="none of the 0 clips of the valid split has features"):
        load(*place, "valid")


def test_an_epoch_holds_every_clip_once_in_an_order_of_seed_and_epoch_alone(place):
    split = load(*place, "test")
    batches = Batches(split, 2, seed=7)

    def order(epoch):
        batches.start_epoch(epoch)
        return torch.cat([features[:, 0, 0] for features, _ in batches]).tolist()

    first = [order(epoch) for epoch in range(6)]
    assert len(batches) == 3
    assert all(sorted(o) == sorted(split.features[:, 0, 0].tolist()) for o in first)
    assert len({tuple(o) for o in first}) > 1
    assert order(3) == first[3]
    assert [f[:, 0, 0].tolist() for f, _ in Batches(split, 5)] == [split.features[:, 0, 0].tolist()]


def test_no_batch_is_left_with_a_single_clip(place):
    assert [len(f) for f, _ in Batches(load(*place, "test"), 4)] == [3, 2]


def test_features_and_targets_stay_together(place):
    split = load(*place, "test")
    for features, targets in Batches(split, 2, seed=1):
        clip = features[:, 0, 0] / 0.5 + 4
        assert torch.equal(targets[:, 1], (clip >= 5).float())


def test_an_excerpt_shows_part_of_the_frames_at_a_place_of_seed_and_epoch():
    features = torch.arange(40.0).reshape(1, 20, 2).repeat(3, 1, 1)
    split = Split(features, torch.zeros(3, 1), (), ("a",), 0)
    batches = Batches(split, 3, seed=2, frames=5)

    def start(epoch):
        batches.start_epoch(epoch)
        shown, _ = batches[0]
        assert shown.shape == (3, 5, 2)
        assert torch.equal(shown[0, :, 0].diff(), torch.full((4,), 2.0))
        return int(shown[0, 0, 0]) // 2

    starts = [start(epoch) for epoch in range(60)]
    assert set(starts) <= set(range(16))
    assert len(set(starts)) > 8
    assert [start(epoch) for epoch in range(60)] == starts
    assert Batches(split, 3)[0][0].shape == (3, 20, 2)


def test_an_epoch_of_excerpts_passes_over_the_clips_until_as_many_frames_were_seen():
    features = torch.arange(7.0)[:, None, None].repeat(1, 20, 2)
    batches = Batches(Split(features, torch.zeros(7, 1), (), ("a",), 0), 4, seed=2, frames=5)
    seen = [int(clip) for shown, _ in batches for clip in shown[:, 0, 0]]
    assert len(batches) == 8
    assert [sorted(seen[i : i + 7]) for i in range(0, 28, 7)] == [list(range(7))] * 4
    assert seen[:7] != seen[7:14]


def test_fixed_places_show_each_excerpt_of_each_clip_once_an_epoch_in_another_order_each():
    features = 100 * torch.arange(7.0)[:, None, None] + torch.arange(20.0)[None, :, None]
    batches = Batches(Split(features, torch.arange(7.0)[:, None], (), ("a",), 0), 4, seed=2, frames=8, n_places=4)

    def seen(epoch):
        batches.start_epoch(epoch)
        shown = [(f, t) for f, t in batches]
        assert all(len(f) >= 3 and f.shape[1:] == (8, 1) for f, _ in shown)
        rows = [(int(clip[0, 0]), int(target)) for f, t in shown for clip, target in zip(f, t[:, 0], strict=True)]
        assert all(first // 100 == target for first, target in rows)
        return [first for first, _ in rows]

    places = [100 * clip + start for clip in range(7) for start in (0, 4, 8, 12)]
    assert sorted(seen(0)) == sorted(seen(1)) == places
    assert seen(0) != seen(1)
    assert seen(0) == seen(0)


def test_the_segments_of_a_clip_are_rows_of_their_own_and_are_scored_as_one_clip(tmp_path):
    with ShardWriter(tmp_path / "f" / "a.h5", "features", None, (2, 1), np.float32) as writer:
        writer.append(["b", "b", "b", "a", "a"], np.arange(5, dtype=np.float32)[:, None, None].repeat(2, axis=1))
    clips = [Clip(name, "", "", f"song {name}", "", "test") for name in "abc"]
    write_labels(tmp_path / "labels.csv", clips, TagTable(("a", "b", "c"), ("x",), np.array([[0], [1], [1]], np.uint8)))
    Standardizer(np.float32([0]), np.float32([1]), 5).save(tmp_path / "s.json")
    split = load(tmp_path / "f", tmp_path / "labels.csv", tmp_path / "s.json", "test")
    assert [clip.clip_id for clip in split.clips] == ["a", "a", "b", "b", "b"]
    assert split.features[:, 0, 0].tolist() == [3, 4, 0, 1, 2]
    assert split.targets[:, 0].tolist() == [0, 0, 1, 1, 1]
    assert split.missing == 1
    whole, scores = split.by_clip(np.array([[0.1], [0.3], [0.5], [0.6], [1.0]]))
    assert [clip.clip_id for clip in whole.clips] == ["a", "b"]
    assert whole.targets[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(scores, [[0.2], [0.7]])
    assert whole.by_clip(scores) == (whole, scores)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"config": "{"}, "its attribute config is no JSON"),
        ({"config": "[" * 30_000}, "its attribute config is no JSON"),
        ({"config": []}, "settings that are unknown here"),
        ({"waveform_config": []}, r"settings that are unknown here \(.*must be a mapping of settings, got \[\]"),
        ({"waveform_config": {"rate": 16_000, "odd": 1}}, "settings that are unknown here"),
    ],
)
def test_a_shard_whose_settings_are_none_is_named(tmp_path, changed, told):
    with ShardWriter(tmp_path / "0.h5", "features", 0, (2, 1), np.float32) as writer:
        writer.attributes = {
            "config": {"kind": "mel", "rate": 8_000, "samples": 99},
            "waveform_config": {},
            "code": "c",
        } | changed
    with pytest.raises(ShardError, match=rf"0\.h5.* {told}"):
        origin(tmp_path)
