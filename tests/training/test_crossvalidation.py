"""Exclusive classes: folds keep groups apart, nothing of a held-out clip is seen, metrics are worked out by hand."""

from __future__ import annotations

import csv
import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from helpers import ROOT
from helpers.features import extract
from helpers.plans import plan
from helpers.small_data import CNN, fill
from sklearn.metrics import balanced_accuracy_score

from earmark.config import ConfigError
from earmark.corpus.label_table import Labelled, read_labels
from earmark.corpus.manifest import TagTable, read_manifest
from earmark.decode.waveforms import Waveforms
from earmark.experiments import CrossValidationConfig
from earmark.features.dataset import read_features
from earmark.models.saved import SavedModel
from earmark.predict import Predictor
from earmark.representations import build
from earmark.training import crossvalidation
from earmark.training import fit as training
from earmark.training.crossvalidation import classify, normalized_accuracy, recalls
from earmark.training.tagger import BestWeights

SETTINGS = CNN | {"recipe": "short", "classes": ["high", "low"], "folds": 3}


def run(name, config, features, labels):
    """By the short recipe."""
    assert config.recipe == "short"
    planned = plan("convolutional", where=f"crossvalidations.{name}", schedule="warm-cosine", **config.overrides())
    return crossvalidation.run(name, config, planned, features, labels)


@pytest.fixture
def place(tmp_path, make_corpus):
    return fill(tmp_path, *make_corpus(songs=12, where=tmp_path), n_mels=48)


def paths(place):
    return place.data / "features/mel", place.data / "labels/top3/labels.csv"


def test_a_clip_counts_that_has_exactly_one_class():
    clips = [Labelled(f"{i}", f"song {i}", f"artist {i}", "train") for i in range(4)]
    table = TagTable(tuple("0123"), ("a", "b", "c"), np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 1]], np.uint8))
    found = classify(clips, table, ["a", "b"])
    assert [clip.clip_id for clip in found.clips] == ["0", "2"]
    assert found.classes.tolist() == [0, 1]
    assert found.left_out == 2
    with pytest.raises(ConfigError, match="must be tags of the corpus, got 'x'"):
        classify(clips, table, ["a", "x"])
    with pytest.raises(ConfigError, match="no clip has 'a'"):
        classify(clips[1:2], TagTable(("1",), ("a", "b"), np.array([[0, 1]], np.uint8)), ["a", "b"])


def test_accuracy_is_normalised_by_class():
    actual, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    np.testing.assert_allclose(recalls(actual, predicted, 4), [2 / 3, 1 / 2, 1, np.nan])
    assert normalized_accuracy(actual, predicted, 4) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert normalized_accuracy(actual, predicted, 3) == pytest.approx(balanced_accuracy_score(actual, predicted))


def test_every_clip_is_predicted_once_by_a_model_that_saw_nothing_of_its_artist(place, monkeypatch):
    config = CrossValidationConfig(**SETTINGS)
    seen = []
    fit = training.fit

    def watched(plan, seed, train, valid, checkpoints=None, exclusive=False):
        assert exclusive
        assert not {c.artist for c in train.clips} & {c.artist for c in valid.clips}
        flat = train.features.reshape(-1, train.features.shape[-1])
        varying = flat.std(dim=0) > 0
        np.testing.assert_allclose(flat[:, varying].mean(dim=0), 0, atol=1e-3)  # of the training part alone
        np.testing.assert_allclose(flat[:, varying].std(dim=0), 1, atol=1e-2)
        seen.append({c.artist for c in (*train.clips, *valid.clips)})
        return fit(plan, seed, train, valid, checkpoints, exclusive)

    monkeypatch.setattr(crossvalidation, "fit", watched)
    outcome = run("x", config, *paths(place))
    clips, _ = read_labels(paths(place)[1])
    artists = {clip.clip_id: clip.artist for clip in clips}
    assert sorted(row[0] for row in outcome.rows) == sorted(artists)
    assert len(seen) == 3
    for clip_id, fold, actual, predicted in outcome.rows:
        assert artists[clip_id] not in seen[fold]
        assert {actual, predicted} <= {"high", "low"}
    right = np.mean([actual == predicted for _, _, actual, predicted in outcome.rows])
    assert outcome.summary["accuracy"]["raw"] == pytest.approx(right)
    assert (outcome.summary["clips"], outcome.summary["left_out"], outcome.summary["groups"]) == (24, 0, 12)
    assert outcome.summary["accuracy"]["absent_in_folds"] == 0
    assert (outcome.summary["training"]["folds"], outcome.summary["training"]["epochs"]) == (3, 6)


def test_the_same_seed_gives_the_same_folds_and_predictions(place):
    config = CrossValidationConfig(**SETTINGS)
    first, second = (run("x", config, *paths(place)) for _ in range(2))
    assert first.rows == second.rows
    assert first.summary == second.summary
    for folder, outcome in (("a", first), ("b", second)):
        outcome.save(place.folder / folder)
    files = sorted((place.folder / "a").glob("fold-*/model.safetensors"))
    assert len(files) == 3
    for file in files:
        assert file.read_bytes() == (place.folder / "b" / file.parent.name / file.name).read_bytes()


def test_the_model_of_a_fold_scores_files_that_it_was_held_out_from_as_the_fold_did(place):
    outcome = run("x", CrossValidationConfig(**SETTINGS), *paths(place))
    outcome.save(place.folder / "models")
    kept = [SavedModel.load(place.folder / f"models/fold-{fold}/model.safetensors") for fold in range(3)]
    assert all(model.exclusive and model.tags == ("high", "low") for model in kept)
    manifest = {clip.clip_id: clip.path for clip in read_manifest(place.data / "corpus/manifest.csv")}
    predictors = [Predictor(model, {}) for model in kept]
    for clip_id, fold, _, predicted in outcome.rows:
        found = predictors[fold].predict(place.audio / manifest[clip_id])
        assert found.probabilities.sum() == pytest.approx(1)
        assert [tag for tag, chosen in zip(found.tags, found.predicted, strict=True) if chosen] == [predicted]


@pytest.mark.parametrize("where", ["a fold's second epoch", "the third fold", "its models", "its metrics"])
def test_a_killed_stage_trains_no_finished_fold_again_and_writes_the_same(place, monkeypatch, where):
    place.add("crossvalidations", pitch=SETTINGS)
    out, checkpoints = place.folder / "out", place.folder / "checkpoints"
    begun = []
    begin = BestWeights.on_train_epoch_start

    def stage(name):
        files = (checkpoints / name, out / name, out / f"{name}.json", out / f"{name}.csv")
        crossvalidation.crossvalidate(place.params, "pitch", *paths(place), *files)

    def watched(best, trainer, module):
        begun.append(trainer.current_epoch)
        begin(best, trainer, module)

    def killed(*_):
        raise RuntimeError("killed")

    def kill_in(number):
        return lambda *arguments: killed() if len(begun) == number else watched(*arguments)

    monkeypatch.setattr(BestWeights, "on_train_epoch_start", watched)
    stage("undisturbed")
    assert begun == [0, 1] * 3
    begun.clear()
    with monkeypatch.context() as patch:
        if where in ("a fold's second epoch", "the third fold"):
            patch.setattr(BestWeights, "on_train_epoch_start", kill_in(3 if "second" in where else 4))
        elif where == "its models":
            patch.setattr(crossvalidation.Outcome, "save", killed)
        else:
            patch.setattr(crossvalidation, "write_json", killed)
        with pytest.raises(RuntimeError, match="killed"):
            stage("resumed")
    shutil.rmtree(out / "resumed", ignore_errors=True)  # as DVC does before it runs a stage again
    begun.clear()
    stage("resumed")
    assert begun == {"a fold's second epoch": [1, 0, 1], "the third fold": [0, 1]}.get(where, [])
    ours, theirs = ({p.relative_to(out / n): p for p in (out / n).rglob("*.*")} for n in ("undisturbed", "resumed"))
    assert ours.keys() == theirs.keys()
    assert len(ours) == 3
    assert all(ours[name].read_bytes() == theirs[name].read_bytes() for name in ours)
    for suffix in ("json", "csv"):
        assert (out / f"undisturbed.{suffix}").read_text() == (out / f"resumed.{suffix}").read_text()
    assert not (checkpoints / "resumed").exists()


def test_a_class_that_a_fold_holds_no_clip_of_is_counted(place, monkeypatch):
    """All clips of one class are by one artist, who lies in one fold: the two others know nothing of that class."""

    def with_rare(clips, table, classes):
        found = classify(clips, table, classes[:2])
        rare = np.array([clip.artist == clips[0].artist for clip in found.clips])
        return dataclasses.replace(found, classes=np.where(rare, 2, found.classes))

    monkeypatch.setattr(crossvalidation, "classify", with_rare)
    settings = SETTINGS | {"epochs": 1, "classes": ["high", "low", "rare"]}
    outcome = run("x", CrossValidationConfig(**settings), *paths(place))
    assert outcome.summary["accuracy"]["absent_in_folds"] == 2
    assert np.isfinite(outcome.summary["accuracy"]["normalized"])


def test_each_fold_standardises_only_the_dims_that_the_representation_wants_so(place, tmp_path):
    settings = {"kind": "scattering", "rate": 16_000, "samples": 28_000, "T": 512, "normalization": "song"}
    waveforms = Waveforms(
        place.data / "waveforms/16000", read_manifest(place.data / "corpus/manifest.csv"), place.audio
    )
    extract(waveforms, tmp_path / "song", settings)
    outcome = run("x", CrossValidationConfig(**SETTINGS | {"epochs": 1}), tmp_path / "song", paths(place)[1])
    order = build("scattering", rate=16_000, n_samples=28_000, T=512).axes["order"]
    for model in outcome.models:
        assert (model.standardizer.mean[order == 2] == 0).all()
        assert (model.standardizer.inverse_std[order == 2] == 1).all()
        assert (model.standardizer.inverse_std[order == 1] != 1).all()
    heard = Predictor(outcome.models[0]).listener.hear(next(place.audio.glob("*/*.mp3"))).features
    assert heard[..., order == 2].min() >= 0
    assert heard[..., order == 1].min() < 0


def test_too_few_groups_are_an_error(place):
    with pytest.raises(ConfigError, match=r"crossvalidations\.x\.folds must be at most half .* got 7 for 12"):
        run("x", CrossValidationConfig(**SETTINGS | {"folds": 7}), *paths(place))


def test_a_fold_whose_epoch_cannot_be_chosen_is_named(place, monkeypatch):
    """Six artists, of whom five are of one class: where the sixth is held out, only one class is left."""

    def lopsided(clips, table, classes):
        found = classify(clips, table, classes)
        artists = sorted({clip.artist for clip in found.clips})[:6]
        kept = tuple(clip for clip in found.clips if clip.artist in artists)
        return crossvalidation.Classified(kept, np.array([int(clip.artist == artists[0]) for clip in kept]), 0)

    monkeypatch.setattr(crossvalidation, "classify", lopsided)
    with pytest.raises(ConfigError, match=r"crossvalidations\.x\.groups 'artist': the \d+ clips .* too few of these"):
        run("x", CrossValidationConfig(**SETTINGS | {"epochs": 1}), *paths(place))


def test_features_are_read_in_the_order_of_the_clips_and_absent_ones_are_left_out(place):
    folder, labels = paths(place)
    ids = [clip.clip_id for clip in read_labels(labels)[0]]
    wanted = [ids[5], "absent", ids[0], ids[9]]
    places, values = read_features(folder, wanted)
    assert places == [0, 2, 3]
    for place_, value in zip(places, values, strict=True):
        np.testing.assert_array_equal(read_features(folder, [wanted[place_]])[1][0], value)


def test_the_stage_writes_metrics_and_a_table_for_the_confusion_plot(place):
    content = yaml.safe_load(place.params.read_text())
    place.params.write_text(yaml.safe_dump(content | {"crossvalidations": {"pitch": SETTINGS | {"epochs": 1}}}))
    features, labels = map(str, paths(place))
    command = [
        sys.executable,
        str(ROOT / "stages/crossvalidate.py"),
        "pitch",
        "--features",
        features,
        "--labels",
        labels,
    ]
    done = subprocess.run(
        [*command, "--metrics", "m.json", "--confusion", "c.csv", "--checkpoints", "ck", "--out", "models"],
        cwd=place.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "crossvalidate pitch: 24 clips" in done.stdout
    assert len(list((place.folder / "models").glob("fold-?/model.safetensors"))) == 3
    assert "seconds" not in (place.folder / "m.json").read_text()
    with (place.folder / "c.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["fold"] for row in rows} == {"0", "1", "2"}
