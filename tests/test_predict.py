"""Predictions for files of any kind, in the corpus or not, and for broken ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
from conftest import tone
from small_data import fill

from earmark.cli import main
from earmark.config import ConfigError
from earmark.errors import EarmarkError
from earmark.predict import Predictor


@pytest.fixture
def place(tmp_path, make_corpus):
    return fill(tmp_path, *make_corpus())


def arguments(place, *files):
    return ["predict", "--params", str(place.params), "--data", str(place.data), *map(str, files)]


def test_any_format_rate_length_and_channel_count_is_heard(place, tmp_path):
    predictor = Predictor(place.config, "linear", place.data)
    wave = tone(7.3, 2400, rate=44_100)
    found = {}
    for suffix in ("wav", "flac", "ogg", "mp3"):
        path = tmp_path / f"high.{suffix}"
        sf.write(path, np.stack([wave, wave], axis=1), 44_100)
        found[suffix] = predictor.predict(path)
    for prediction in found.values():
        assert prediction.seconds == pytest.approx(7.3, abs=0.1)
        assert prediction.segments == 5
        assert prediction.actual is None
        assert prediction.accuracy is None
        assert ((prediction.probabilities > 0) & (prediction.probabilities < 1)).all()
    np.testing.assert_allclose(found["flac"].probabilities, found["wav"].probabilities, rtol=1e-2)


def test_the_probability_of_a_file_is_the_mean_over_its_segments(place, tmp_path):
    predictor = Predictor(place.config, "linear", place.data)
    first, second = tone(1.75, 300), tone(1.75, 2400)
    for name, wave in (("a", first), ("b", second), ("ab", np.concatenate([first, second]))):
        sf.write(tmp_path / f"{name}.wav", wave, 16_000, subtype="FLOAT")
    a, b, ab = (predictor.predict(tmp_path / f"{name}.wav").probabilities for name in ("a", "b", "ab"))
    np.testing.assert_allclose(ab, (a + b) / 2, rtol=1e-6)


def test_a_clip_of_the_corpus_is_shown_with_its_labels_and_the_accuracy(place, capsys):
    clip = next(iter(sorted(place.audio.glob("d/*.mp3"))))
    assert main(arguments(place, clip)) == 0
    shown = capsys.readouterr().out
    assert "predicted  actual" in shown
    prediction = Predictor(place.config, "linear", place.data).predict(clip)
    expected = np.mean([row["predicted"] == row["actual"] for row in prediction.as_dict()["tags"]])
    assert f"accuracy over 3 tags: {100 * expected:.1f} %" in shown
    values = [row["probability"] for row in prediction.as_dict()["tags"]]
    assert values == sorted(values, reverse=True)


def test_a_broken_file_is_reported_and_the_rest_goes_on(place, tmp_path, capsys):
    (tmp_path / "broken.mp3").write_bytes(b"no music")
    sf.write(tmp_path / "fine.wav", tone(3, 440), 16_000)
    files = [tmp_path / "broken.mp3", tmp_path / "fine.wav", tmp_path / "absent.wav"]
    assert main([*arguments(place, *files), "--json"]) == 1
    shown = capsys.readouterr()
    rows = json.loads(shown.out)
    assert [row["file"] for row in rows] == [str(files[1]), str(files[0]), str(files[2])]
    assert {row["tag"] for row in rows[0]["tags"]} == {"high", "low", "loud"}
    assert "not decodable" in rows[1]["error"]
    assert rows[2]["error"] == "no such file"
    assert "broken.mp3" in shown.err


def test_a_model_that_is_not_there_is_named(place, tmp_path):
    with pytest.raises(ConfigError, match=r"--model must be one of experiments \['linear'\], got 'crnn'"):
        Predictor(place.config, "crnn", place.data)
    with pytest.raises(EarmarkError, match="dvc repro train@linear"):
        Predictor(place.config, "linear", tmp_path / "elsewhere")
