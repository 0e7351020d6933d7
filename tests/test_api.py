"""What `earmark` exports, that importing it costs nothing, and what each name does."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers.music import tone
from helpers.small_data import fill
from helpers.snippets import readme_lines

import earmark
from earmark.errors import EarmarkError
from earmark.evaluation import scoring
from earmark.features import dataset
from earmark.models.saved import FILE, ModelError, SavedModel
from earmark.predict import open_predictor

EXPORTED = ["CQT", "Mel", "Scattering", "evaluate", "load", "load_features"]


@pytest.fixture
def place(tmp_path, make_corpus):
    return fill(tmp_path, *make_corpus())


def test_these_names_are_exported_and_no_others():
    assert earmark.__all__ == EXPORTED
    assert set(EXPORTED) <= set(dir(earmark))
    for name in EXPORTED:
        assert callable(getattr(earmark, name))
    with pytest.raises(AttributeError, match="module 'earmark' has no attribute 'lod'"):
        _ = earmark.lod


def test_to_import_it_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pydantic', 'h5py', 'sklearn'}"
    code = f"import sys, earmark; dir(earmark); earmark.__version__; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_transform_is_a_module_of_torch():
    transform = earmark.Scattering(n_samples=20_000, T=2048)
    features = transform(torch.randn(2, 3, 20_000))
    assert isinstance(transform, torch.nn.Module)
    assert features.shape[:2] == (2, 3)
    assert earmark.Mel(n_samples=20_000)(torch.randn(20_000)).dim() == 2
    assert earmark.CQT(n_samples=20_000)(torch.randn(1, 20_000)).dim() == 3


def test_a_model_is_loaded_from_its_folder_or_its_file(place, tmp_path):
    sf.write(tmp_path / "song.wav", tone(3, 440), 16_000)
    folder = place.data / "models/linear"
    expected = open_predictor(place.params, "linear", place.data).predict(tmp_path / "song.wav")
    (folder / FILE).rename(folder / "bundle")
    (folder / FILE).symlink_to(folder / "bundle")
    for path in (folder, str(folder), folder / FILE, folder / "bundle"):
        model = earmark.load(path)
        assert model.tags == ("high", "low", "loud")
        found = model.predict(str(tmp_path / "song.wav"))
        np.testing.assert_array_equal(found.probabilities, expected.probabilities)
        assert found.actual is None
    with pytest.raises(ModelError, match=r"models/none/model\.safetensors does not exist; run `dvc repro train@none`"):
        earmark.load(place.data / "models/none")


def test_the_embedding_of_a_song_gives_its_logits(place, tmp_path):
    sf.write(tmp_path / "clip.wav", tone(1.8, 440), 16_000)
    sf.write(tmp_path / "song.wav", np.concatenate([tone(1.75, 440), tone(1.75, 900)]), 16_000)
    model = earmark.load(place.data / "models/linear")
    embedding = model.embed(str(tmp_path / "clip.wav"))
    assert embedding.shape == (48,)
    logits = model.model.linear(torch.from_numpy(embedding)).double()
    np.testing.assert_allclose(
        torch.sigmoid(logits).detach(), model.predict(tmp_path / "clip.wav").probabilities, rtol=1e-5
    )
    song = tmp_path / "song.wav"
    segments = [scoring.embed(model.model, part[None], len(part), 1) for part in model.listener.hear(song).features]
    assert len(segments) == 2
    np.testing.assert_allclose(model.embed(song), np.mean(segments, axis=0)[0], rtol=1e-5, atol=1e-6)


def test_features_are_those_that_training_sees(place):
    found = earmark.load_features("mel", split="test", data=place.data)
    features, labels = found
    split = dataset.load(*place.inputs, "test")
    np.testing.assert_array_equal(features, split.features)
    np.testing.assert_array_equal(labels, split.targets)
    assert (features.dtype, labels.dtype) == (np.float32, np.uint8)
    assert found.clip_ids == tuple(clip.clip_id for clip in split.clips)
    assert found.songs == tuple(clip.song for clip in split.clips)
    assert found.tags == ("high", "low", "loud")
    train, _ = earmark.load_features("mel", data=str(place.data))
    np.testing.assert_allclose(train.mean(axis=(0, 1)), 0, atol=1e-3)


def test_a_split_or_a_representation_that_is_not_there_is_named(place):
    with pytest.raises(EarmarkError, match="split must be one of train, valid, test, got 'trian'"):
        earmark.load_features("mel", split="trian", data=place.data)
    with pytest.raises(EarmarkError, match=r"standardize/cqt-top3\.json does not exist; run the stage that makes it"):
        earmark.load_features("cqt", data=place.data)


def test_scores_are_measured_as_the_pipeline_measures_them(place):
    found = earmark.load_features("mel", split="test", data=place.data)
    saved = SavedModel.load(place.data / "models/linear" / FILE)
    scores = scoring.score_saved(saved, torch.from_numpy(found.features))
    result = earmark.evaluate(scores, found.labels, found.songs, found.tags)
    assert set(result.summary["roc_auc"]) == {"macro", "low", "high", "micro"}
    again = earmark.evaluate(scores, found.labels, found.songs, resamples=1000, seed=1)
    assert again.summary == result.summary
    assert [row[0] for row in result.tags] == list(found.tags)


def test_the_lines_of_the_readme_run_where_the_pipeline_has_run(place, monkeypatch, capsys):
    monkeypatch.chdir(place.folder)
    sf.write("song.mp3", tone(3, 440), 16_000)
    names = {"models/scat-5l-512h-gru": "models/linear", '"scattering", split': '"mel", split'}
    lines = readme_lines()
    for theirs, ours in names.items():
        assert theirs in lines
        lines = lines.replace(theirs, ours)
    test = earmark.load_features("mel", split="test")
    exec(lines, {"scores": np.random.default_rng(0).random(test.labels.shape)})
    told = capsys.readouterr().out
    assert re.search(r"^  loud +0\.\d{3} +0\.\d{3} +[TF]$", told, re.M)
    assert "'roc_auc': {'macro'" in told
