"""Mean and deviation are those of the training clips alone."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.errors import EarmarkError
from earmark.features.standardize import Standardizer, fit
from earmark.storage.shards import ShardError, ShardWriter


@pytest.fixture
def features(tmp_path):
    values = np.random.default_rng(0).normal(1e4, [1, 0.1, 3], (40, 7, 3)).astype(np.float32)
    values[:, :, 2] = 5
    for k in range(2):
        with ShardWriter(tmp_path / "f" / f"{k}.h5", "features", 20, (7, 3), np.float32) as writer:
            writer.append([str(i) for i in range(20 * k, 20 * k + 20)], values[20 * k : 20 * k + 20])
    return tmp_path / "f", values


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
    [(b"{", "is no JSON"), (b"{}", "lacks clips, inverse_std, mean"), (None, "does not exist; run the stage")],
)
def test_moments_that_no_stage_wrote_are_named(tmp_path, content, told):
    if content is not None:
        (tmp_path / "mel.json").write_bytes(content)
    with pytest.raises(EarmarkError, match=rf"mel\.json {told}"):
        Standardizer.load(tmp_path / "mel.json")
