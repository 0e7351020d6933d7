"""Mean and deviation are those of the training clips alone."""

from __future__ import annotations

import json
import os
import random

import numpy as np
import pytest

from earmark.errors import EarmarkError
from earmark.features.dataset import read_features
from earmark.features.standardize import Standardizer, fit, fit_array, standardized_dims
from earmark.storage import provenance
from earmark.storage.shards import ShardError, ShardWriter


def write(folder, axes):
    """Two shards of 20 clips; the last of their three dims is constant."""
    values = np.random.default_rng(0).normal(1e4, [1, 0.1, 3], (40, 7, 3)).astype(np.float32)
    values[:, :, 2] = 5
    for k in range(2):
        with ShardWriter(folder / f"{k}.h5", "features", 20, (7, 3), np.float32) as writer:
            writer.append([str(i) for i in range(20 * k, 20 * k + 20)], values[20 * k : 20 * k + 20])
            writer.axes = axes
    return folder, values


@pytest.fixture
def features(tmp_path):
    return write(tmp_path / "f", {})


def test_moments_are_those_of_the_training_clips_alone(features):
    folder, values = features
    train = {str(i) for i in range(3, 33)}
    fitted = fit(folder, train)
    pooled = values[3:33].astype(np.float64).reshape(-1, 3)
    np.testing.assert_allclose(fitted.mean, pooled.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(fitted.inverse_std[:2], 1 / pooled.std(axis=0)[:2], rtol=1e-6)
    assert fitted.clips == 30


def test_a_constant_dimension_is_switched_off(features):
    assert fit(features[0], {"1", "2"}).inverse_std[2] == 0


def test_it_survives_the_round_trip_exactly(features, tmp_path):
    fitted = fit(features[0], {"1", "2", "3"})
    fitted.save(tmp_path / "s.json")
    again = Standardizer.load(tmp_path / "s.json")
    np.testing.assert_array_equal(again.mean, fitted.mean)
    np.testing.assert_array_equal(again.inverse_std, fitted.inverse_std)
    assert again.clips == 3


def test_no_training_clip_is_an_error(features):
    with pytest.raises(ShardError, match="none of the 1 training clips has features"):
        fit(features[0], {"99"})


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "is no JSON"), (b"{}", "lacks clips, inverse_std, mean, sha256"), (None, "does not exist; run the stage")],
)
def test_moments_that_no_stage_wrote_are_named(tmp_path, content, told):
    if content is not None:
        (tmp_path / "mel.json").write_bytes(content)
    with pytest.raises(EarmarkError, match=rf"mel\.json {told}"):
        Standardizer.load(tmp_path / "mel.json")


@pytest.mark.parametrize("standardized", [[True, False, True], [False, True, False], [False, False, False]])
def test_dims_that_the_representation_leaves_out_keep_their_values_and_the_others_are_as_ever(
    features, tmp_path, standardized
):
    chosen = np.array(standardized)
    folder, values = write(tmp_path / "g", {"standardized": chosen})
    all_dims, fitted = fit(features[0], {"1", "2", "33"}), fit(folder, {"1", "2", "33"})
    np.testing.assert_array_equal(fitted.mean[chosen], all_dims.mean[chosen])
    np.testing.assert_array_equal(fitted.inverse_std[chosen], all_dims.inverse_std[chosen])
    seen = read_features(folder, [str(i) for i in range(40)], fitted)[1]
    np.testing.assert_array_equal(seen[..., ~chosen], values[..., ~chosen])  # a constant one, too
    assert (seen[..., chosen] != values[..., chosen]).all()
    assert (fitted.mean.dtype, fitted.inverse_std.dtype) == (np.float32, np.float32)


def test_features_in_memory_are_standardised_in_the_same_dims(tmp_path):
    chosen = np.array([False, True, True])
    folder, values = write(tmp_path / "g", {"standardized": chosen})
    np.testing.assert_array_equal(standardized_dims(folder), chosen)
    of_shards, in_memory = fit(folder, {str(i) for i in range(40)}), fit_array(values, standardized_dims(folder))
    np.testing.assert_allclose(in_memory.mean, of_shards.mean, rtol=1e-6)
    np.testing.assert_allclose(in_memory.inverse_std, of_shards.inverse_std, rtol=1e-6)


def test_shards_that_name_no_dims_are_standardised_in_all(features):
    folder, values = features
    assert standardized_dims(folder) is None
    all_named, none_named = fit_array(values, np.ones(3, bool)), fit_array(values)
    np.testing.assert_array_equal(all_named.mean, none_named.mean)
    np.testing.assert_array_equal(all_named.inverse_std, none_named.inverse_std)


@pytest.mark.parametrize("axis", [np.array([True, False]), np.array([0, 1, 2]), np.bool_(True)])
def test_an_axis_that_is_not_one_value_per_dim_is_named(tmp_path, axis):
    folder, _ = write(tmp_path / "g", {"standardized": axis})
    with pytest.raises(ShardError, match=r"0\.h5: its axis `standardized` must be 3 values of true or false, .* got "):
        fit(folder, {"1"})
    with pytest.raises(ShardError, match=r"its axis `standardized` must be 3 values"):
        standardized_dims(folder)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"inverse_std": [1.0]}, r"inverse_std must be 2 values, one per mean"),
        ({"inverse_std": [1.0, -1.0]}, r"none below 0, got 2, the least -1"),
        ({"inverse_std": [1.0, 1e39]}, r"inverse_std must be below 1e\+30, got 1e\+39"),
        ({"mean": [10**400, 1.0]}, r"mean must be below 1e\+30, got 1000.*\.\.\..*000"),
        ({"mean": [1.0, "2"]}, r"mean must be a list of numbers, got \[1\.0, '2'\]"),
        ({"mean": 3}, r"mean must be a list of numbers, got 3"),
        ({"mean": [True, 1.0]}, r"mean must be a list of numbers"),
        ({"mean": [float("nan"), 1.0]}, r"is no JSON: it holds NaN"),
        ({"mean": [], "inverse_std": []}, r"mean must be a list of numbers, got \[\]"),
        ({"clips": "3"}, r"clips must be a number above 0, got '3'"),
    ],
)
def test_moments_that_cannot_be_are_named(tmp_path, changed, told):
    content = {"clips": 3, "mean": [1.0, 2.0], "inverse_std": [1.0, 0.0]} | changed
    (tmp_path / "mel.json").write_text(json.dumps(content | {"sha256": provenance.fingerprint(**content)}))
    with pytest.raises(EarmarkError, match=rf"mel\.json.* {told}"):
        Standardizer.load(tmp_path / "mel.json")


def test_a_key_that_stands_twice_is_no_other_value_in_silence(tmp_path):
    (tmp_path / "mel.json").write_text('{"clips": 3, "mean": [1.0], "inverse_std": [1.0], "mean": [2.0]}')
    with pytest.raises(EarmarkError, match=r"mel\.json is no JSON: the key 'mean' stands in it twice"):
        Standardizer.load(tmp_path / "mel.json")


def test_moments_of_other_features_are_refused(features):
    fitted = Standardizer(np.zeros(2, np.float32), np.ones(2, np.float32), 1)
    with pytest.raises(EarmarkError, match="has features of 3 dims, but their mean and deviation have 2"):
        read_features(features[0], ["1"], fitted)


def test_a_clip_that_is_not_finite_is_named_by_whoever_reads_it(features, monkeypatch):
    monkeypatch.setattr("earmark.storage.shards.not_finite", lambda *_: "")  # as an earlier version wrote it
    rows = np.ones((2, 7, 3), np.float32)
    rows[1, 2, 1] = np.nan
    with ShardWriter(features[0] / "2.h5", "features", 2, (7, 3), np.float32) as writer:
        writer.append(["x", "y"], rows)
    monkeypatch.undo()
    for read in (fit, read_features):
        with pytest.raises(
            ShardError, match=r"2\.h5 cannot be used \(1 of the 21 values of clip y are NaN or infinite"
        ):
            read(features[0], ["y", "1"])


def test_a_clip_in_two_shards_is_named(features):
    with ShardWriter(features[0] / "2.h5", "features", 1, (7, 3), np.float32) as writer:
        writer.append(["1"], np.ones((1, 7, 3), np.float32))
    with pytest.raises(ShardError, match=r"2\.h5: clip 1 is in another shard, too"):
        read_features(features[0], ["1"])


def test_silence_and_equal_values_in_all_clips_leave_nothing_and_no_infinity():
    fitted = fit_array(np.zeros((3, 4, 2), np.float32))
    assert fitted.mean.tolist() == fitted.inverse_std.tolist() == [0.0, 0.0]


def test_moments_with_a_flipped_bit_are_never_others_in_silence(tmp_path):
    Standardizer(np.linspace(-1, 9, 20, dtype=np.float32), np.ones(20, np.float32), 7).save(tmp_path / "s.json")
    content, again = (tmp_path / "s.json").read_bytes(), Standardizer.load(tmp_path / "s.json")
    chance = random.Random(3)
    named = []
    for _ in range(2_000 if os.environ.get("TORTURE") else 200):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (tmp_path / "s.json").write_bytes(damaged)
        try:
            found = Standardizer.load(tmp_path / "s.json")
        except EarmarkError as error:
            named.append("s.json" in str(error))
        else:  # a blank has become another
            np.testing.assert_array_equal([found.mean, found.inverse_std], [again.mean, again.inverse_std])
    assert named
    assert all(named)
