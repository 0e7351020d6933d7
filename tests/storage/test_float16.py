"""Features stored as float16 keep standardised values to within a thousandth."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from earmark.storage import float16
from earmark.storage.shards import ShardWriter, open_shard, read_rows

rng = np.random.default_rng(3)


def log_magnitudes(clips=70, frames=40, dims=6):
    """Far from zero, of small spread, and one dimension constant: what float16 alone holds badly."""
    rows = rng.normal(-12, 0.5, (clips, frames, dims)) + np.linspace(-5, 5, dims)
    rows[..., 2] = -7.25
    return rows.astype(np.float32)


def test_standardised_values_are_kept_to_a_thousandth_where_plain_float16_loses_more():
    rows = log_magnitudes()
    half = float16.fit(lambda: [rows[:64], rows[64:]])
    assert half is not None
    mean, std = rows.mean((0, 1), np.float64), rows.std((0, 1), dtype=np.float64)
    std[2] = 1

    def worst(stored):
        exact, found = (rows - mean) / std, (stored.astype(np.float64) - mean) / std
        return float((np.abs(found - exact) / np.maximum(1, np.abs(exact))).max())

    assert worst(half.decode(half.encode(rows))) < float16.LIMIT
    assert half.error(rows) < float16.LIMIT
    assert worst(rows.astype(np.float16)) > 5 * float16.LIMIT


def test_rows_that_float16_cannot_hold_are_stored_as_float32(tmp_path):
    rows = log_magnitudes(4)
    rows[..., 2] = 0
    rows[1, 3, 2] = 1e-45  # whose deviation is 0 in float32
    assert float16.fit(lambda: [rows]) is None
    with ShardWriter(tmp_path / "a.h5", "features", 4, rows.shape[1:], np.float16) as writer:
        writer.append(list("abcd"), rows)
    with open_shard(tmp_path / "a.h5") as file:
        assert file["features"].dtype == np.float32
        np.testing.assert_array_equal(read_rows(file, [0, 3]), rows[[0, 3]])


@pytest.mark.parametrize("capacity", [70, 90, None])
def test_a_shard_of_halves_is_half_as_large_and_read_back_as_float32(tmp_path, capacity):
    rows = log_magnitudes()
    for name in ("a", "b"):
        with ShardWriter(tmp_path / f"{name}.h5", "features", capacity, rows.shape[1:], np.float16) as writer:
            for start in range(0, len(rows), 16):
                part = rows[start : start + 16]
                writer.append([str(start + i) for i in range(len(part))], part)
            writer.attributes = {"fingerprint": "f"}
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["features"].dtype == np.float16
        assert file["features"].chunks is None
        found = read_rows(file, [0, 5, 69])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows[[0, 5, 69]], atol=2e-3)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert (tmp_path / "a.h5").stat().st_size < 0.6 * rows.nbytes + 8192
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]
