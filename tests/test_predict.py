"""Predictions for audio files of any kind, in the corpus or not, and for broken ones."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json

import numpy as np
import pytest
import soundfile as sf
import yaml
from helpers.music import tone
from helpers.sealed import sealed, unsealed
from helpers.small_data import fill

from earmark.cli import main
from earmark.config import ConfigError
from earmark.corpus.manifest import read_manifest
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.evaluation.metrics import equal_error_thresholds
from earmark.evaluation.scoring import read_scores
from earmark.features import dataset
from earmark.models.saved import FILE, SavedModel
from earmark.predict import corpus_labels, open_predictor


@pytest.fixture
def place(tmp_path, make_corpus):
    return fill(tmp_path, *make_corpus())


def arguments(place, *files):
    return ["predict", "--params", str(place.params), "--data", str(place.data), *map(str, files)]


def test_any_format_rate_length_and_channel_count_is_heard(place, tmp_path):
    predictor = open_predictor(place.params, "linear", place.data)
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
    predictor = open_predictor(place.params, "linear", place.data)
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
    prediction = open_predictor(place.params, "linear", place.data).predict(clip)
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
    assert rows[1]["error"] == "text, no audio"
    assert rows[2]["error"] == "no such file"
    assert "broken.mp3" in shown.err


def test_a_model_that_is_not_there_is_named(place, tmp_path):
    with pytest.raises(
        ConfigError, match=r"--model must be one of experiments \['linear'\], or a file or folder, got 'crnn'"
    ):
        open_predictor(place.params, "crnn", place.data)
    with pytest.raises(EarmarkError, match="dvc repro train@linear"):
        open_predictor(place.params, "linear", tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"params\.yaml does not exist; name a model by --model"):
        open_predictor(tmp_path / "nowhere/params.yaml", None, place.data)


def write_float_wav(path, wave):
    sf.write(path, wave, 16_000, format="WAV", subtype="FLOAT")  # by content, and not by name


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("policy", ["pad", "center"])
def test_a_clip_of_the_corpus_has_the_scores_that_the_pipeline_gave_it(tmp_path, make_corpus, dtype, policy):
    """One of the two test clips is mono and too hot, so that int16 clips it; the other is stereo, and quiet."""
    audio, annotations = make_corpus(seconds=1.9)
    hot, quiet = sorted(audio.glob("d/*.mp3"))
    write_float_wav(hot, 4 * tone(1.9, 700))
    write_float_wav(quiet, np.stack([1e-3 * tone(1.2, 300), 2e-4 * tone(1.2, 900)], axis=1))
    place = fill(tmp_path, audio, annotations, dtype=dtype, policy=policy)
    scores = read_scores(place.evaluate("linear").scores)
    paths = {clip.clip_id: clip.path for clip in read_manifest(place.data / "corpus/manifest.csv")}
    predictor = open_predictor(place.params, None, place.data)
    assert {paths[clip] for clip in scores.clip_ids} == {f"d/{hot.name}", f"d/{quiet.name}"}
    for clip, expected in zip(scores.clip_ids, scores.values[0], strict=True):
        found = predictor.predict(audio / paths[clip])
        assert found.segments == 1
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


def test_a_model_on_several_representations_hears_the_bits_that_the_pipeline_stored(tmp_path, make_corpus, capsys):
    (tmp_path / "e.py").write_text("def encode(wave):\n    return abs(wave.reshape(7, 4_000)[:, :5])\n")
    sha256 = hashlib.sha256((tmp_path / "e.py").read_bytes()).hexdigest()
    parts = {
        "s": {"kind": "scattering", "T": 1024, "Q": [4, 1], "normalization": "log"},
        "m": {"kind": "mel", "n_mels": 24, "pooling": "mean-std"},
        "e": {"kind": "encoder", "file": str(tmp_path / "e.py"), "pooling": "none", "sha256": sha256},
    }
    heard = {"kind": "joint", "rate": 16_000, "samples": 28_000, "frames": 20, "parts": parts}
    place = fill(tmp_path, *make_corpus(), heard=heard)
    predictor = open_predictor(place.params, "linear", place.data)
    test = dataset.load(*place.inputs, "test")
    paths = {clip.clip_id: clip.path for clip in read_manifest(place.data / "corpus/manifest.csv")}
    for clip, stored in zip(test.clips, test.features, strict=True):
        found = predictor.listener.hear(place.audio / paths[clip.clip_id]).features
        np.testing.assert_array_equal(found[0], stored)
    assert main(["inspect", str(place.audio / paths["10"]), "--params", str(place.params)]) == 0
    assert f"20 frames x {test.features.shape[-1]} dims" in capsys.readouterr().out
    assert main(["doctor", "--params", str(place.params)]) == 1
    assert "key encoders is missing" in capsys.readouterr().out  # and nothing else


@pytest.mark.parametrize("segments", [None, 3])
def test_a_corpus_that_is_heard_in_segments_has_the_scores_that_the_pipeline_gave_it(tmp_path, make_corpus, segments):
    place = fill(tmp_path, *make_corpus(seconds=4.0), policy="segments", segments=segments)
    scores = read_scores(place.evaluate("linear").scores)
    paths = {clip.clip_id: clip.path for clip in read_manifest(place.data / "corpus/manifest.csv")}
    predictor = open_predictor(place.params, None, place.data)
    for clip, expected in zip(scores.clip_ids, scores.values[0], strict=True):
        found = predictor.predict(place.audio / paths[clip])
        assert found.segments == 3
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


def test_what_is_set_today_does_not_change_what_a_model_hears(place, tmp_path):
    sf.write(tmp_path / "a.wav", tone(3, 440), 16_000)
    before = open_predictor(place.params, None, place.data).predict(tmp_path / "a.wav")
    place.add("representations", mel={"kind": "mel", "rate": 16_000, "samples": 9_000, "n_mels": 40, "hop": 100})
    place.add("waveforms", **{"16000": {"samples": 30_000, "dtype": "float32", "policy": "center"}})
    after = open_predictor(place.params, "linear", place.data).predict(tmp_path / "a.wav")
    np.testing.assert_array_equal(before.probabilities, after.probabilities)


def test_a_model_needs_no_other_file(place, tmp_path):
    sf.write(tmp_path / "a.wav", tone(3, 440), 16_000)
    before = open_predictor(place.params, None, place.data).predict(tmp_path / "a.wav")
    alone = tmp_path / "alone" / "a-model.safetensors"
    alone.parent.mkdir()
    (place.data / "models/linear" / FILE).rename(alone)
    found = open_predictor(alone.parent / "params.yaml", str(alone), alone.parent).predict(tmp_path / "a.wav")
    np.testing.assert_array_equal(before.probabilities, found.probabilities)
    assert found.actual is None


def test_a_clip_is_known_by_its_file_and_by_nothing_else(place, tmp_path, monkeypatch):
    clip = next(iter(sorted(place.audio.glob("d/*.mp3"))))
    predictor = open_predictor(place.params, None, place.data)
    expected = predictor.predict(clip).actual
    assert expected is not None
    (tmp_path / "link.mp3").symlink_to(clip)
    monkeypatch.chdir(clip.parent)
    for spelling in (tmp_path / "link.mp3", clip.parent / ".." / "d" / clip.name, type(clip)(clip.name)):
        np.testing.assert_array_equal(predictor.predict(spelling).actual, expected)
    for folder in (tmp_path / "a stranger's" / "d", tmp_path / "d", place.audio / "e" / "d"):
        folder.mkdir(parents=True)
        (folder / clip.name).write_bytes(clip.read_bytes())
        assert predictor.predict(folder / clip.name).actual is None


def test_the_labels_of_a_corpus_that_lies_behind_a_link_are_found(place, tmp_path):
    (tmp_path / "linked").symlink_to(place.audio)
    clip = next(iter(sorted(place.audio.glob("d/*.mp3"))))
    place.add("corpus", audio=str(tmp_path / "linked"))
    predictor = open_predictor(place.params, None, place.data)
    assert predictor.predict(clip).actual is not None
    assert predictor.predict(tmp_path / "linked/d" / clip.name).actual is not None


def test_labels_of_other_tags_than_the_models_are_not_shown(place):
    path = place.data / "labels/top3/labels.csv"
    sealed(path, unsealed(path).replace(",high,", ",squeaky,", 1).replace(",high\n", ",squeaky\n", 1))
    clip = next(iter(sorted(place.audio.glob("d/*.mp3"))))
    assert open_predictor(place.params, None, place.data).predict(clip).actual is None


@pytest.mark.parametrize(("name", "split"), [("linear", "test"), ("elsewhere", "valid")])
def test_the_split_is_that_of_the_models_own_labels_and_if_these_are_unknown_the_one_that_is_no_test(
    place, name, split
):
    own = place.data / "labels/top3/labels.csv"
    other = place.data / "labels/artist/labels.csv"
    other.parent.mkdir()
    sealed(other, unsealed(own).replace(",test,", ",valid,"))
    clip = next(iter(sorted(place.audio.glob("d/*.mp3"))))
    for labels in (("artist", "top3"), ("top3", "artist")):
        config = place.config.model_copy(update={"labels": dict.fromkeys(labels)})
        known = corpus_labels(config, place.data, ("low", "high"), name)
        assert known[clip.resolve()].split == split


def changed(place, **values):
    file = place.data / "models/linear" / FILE
    dataclasses.replace(SavedModel.load(file), **values).save(file)
    return open_predictor(place.params, None, place.data)


def test_a_tag_is_predicted_from_its_own_threshold_or_from_one_half(place, tmp_path):
    sf.write(tmp_path / "a.wav", tone(3, 440), 16_000)
    p = open_predictor(place.params, None, place.data).predict(tmp_path / "a.wav").probabilities
    found = changed(place, thresholds=(float(p[0]), float(np.nextafter(p[1], 2)), None)).predict(tmp_path / "a.wav")
    assert found.predicted.tolist() == [True, False, bool(p[2] >= 0.5)]
    thresholds = SavedModel.load(place.data / "models/linear" / FILE).thresholds
    assert thresholds[2] is None


def test_thresholds_are_those_of_the_validation_split(place):
    kept = SavedModel.load(place.data / "models/linear" / FILE)
    valid = dataset.load(*place.inputs, "valid")
    expected = equal_error_thresholds(scoring.score_saved(kept, valid.features), valid.targets.numpy())
    assert np.isfinite(expected).any()
    assert kept.thresholds == tuple(None if np.isnan(value) else value for value in expected)
    with place.evaluate("linear").tags.open() as file:
        rows = {row["tag"]: row["threshold"] for row in csv.DictReader(file)}
    assert [rows[tag] for tag in kept.tags] == ["" if t is None else str(round(t, 6)) for t in kept.thresholds]


def test_features_whose_code_has_changed_are_told_in_one_line(place, capsys):
    open_predictor(place.params, None, place.data)
    assert not capsys.readouterr().err
    kept = SavedModel.load(place.data / "models/linear" / FILE)
    changed(place, code={**kept.code, "features": "0" * 64})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the code of mel has changed since 'linear' was trained")


def test_a_damaged_model_is_an_error_and_no_traceback(place, tmp_path, capsys):
    file = place.data / "models/linear" / FILE
    content = bytearray(file.read_bytes())
    content[-5] ^= 4
    file.write_bytes(content)
    with pytest.raises(SystemExit):
        main(arguments(place, tmp_path / "a.wav"))
    assert "model.safetensors is damaged" in capsys.readouterr().err


def test_without_an_experiment_a_model_must_be_named(place):
    content = yaml.safe_load(place.params.read_text()) | {"experiments": {}}
    place.params.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"params\.yaml has no experiments; name a model by --model"):
        open_predictor(place.params, None, place.data)


def test_a_representation_that_gives_another_shape_than_the_model_was_trained_on_is_told(place):
    file = place.data / "models/linear" / FILE
    saved = SavedModel.load(file)
    dataclasses.replace(saved, frames=saved.frames + 1).save(file)
    told = rf"'linear' was trained on {saved.frames + 1} frames of {saved.dims} dims, and the code of its mel gives "
    with pytest.raises(EarmarkError, match=told):
        open_predictor(place.params, "linear", place.data)
