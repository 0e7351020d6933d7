"""`earmark papers`: what is written for every system, and that nothing is done twice."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from helpers.music import tone, write_mp3
from helpers.sealed import sealed, unsealed
from helpers.small_data import RATE, fill

from earmark import representations
from earmark.cli import main
from earmark.corpus.manifest import read_manifest
from earmark.decode import corpus as decode
from earmark.evaluation.scoring import read_scores
from earmark.features import dataset
from earmark.models.saved import SavedModel
from earmark.papers import budget
from earmark.papers import run as papers_module
from earmark.papers.inputs import prepare
from earmark.predict import Predictor
from earmark.storage import provenance
from earmark.systems import published
from earmark.systems.published import Input
from earmark.training.tagger import BestWeights

ENTRY = {"representation": "mel", "labels": "top3", "model": "recurrent", "recipe": "short"}


@pytest.fixture
def place(tmp_path, make_corpus, monkeypatch):
    """Clips of two seconds, and systems that take them."""
    small = {
        "mel-2d-cnn": {"representation": Input("mel", 16_000, 30_000, {"n_mels": 48})},
        "musicnn": {
            "representation": Input("mel", 12_000, 20_000, {"n_mels": 48}), "frames": 20, "dims": 48, "n_excerpts": 3,
        },
    }  # fmt: skip
    rows = {name: dataclasses.replace(published.SYSTEMS[name], **changes) for name, changes in small.items()}
    monkeypatch.setattr(published, "SYSTEMS", published.SYSTEMS | rows)
    place = fill(tmp_path, *make_corpus(seconds=1.9))  # no longer than they are decoded, with the MP3s' own silence
    metrics = place.folder / "metrics/papers"
    place.papers = lambda: papers_module.Papers.open(place.config, "top3", "quick", 0.02, place.data, metrics)
    return place


def papers(place, *names):
    folders = ["--data", str(place.data), "--metrics", str(place.folder / "metrics/papers")]
    return main(["papers", *names, "--params", str(place.params), "--minutes", "0.02", *folders])


def test_systems_at_any_rate_and_on_excerpts_are_trained_measured_and_not_trained_twice(place, capsys):
    for name in ("mel-2d-cnn", "musicnn", "mirex-5l-512h-lstm"):
        assert papers(place, name) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["mel-2d-cnn", "musicnn", "mirex-5l-512h-lstm"]
    assert "left out, params.yaml has no crossvalidations of it" in lines[2]
    written = json.loads((place.folder / "metrics/papers/tones/musicnn.json").read_text())
    assert written["corpus"] == "tones"
    assert written["budget_minutes"] == 0.02
    assert written["training"]["epochs"] >= 1
    assert (written["training"]["excerpt_frames"], written["training"]["excerpts"]) == (20, 3)
    assert 0 <= written["test"]["roc_auc"]["macro"] <= 1
    assert papers(place, "musicnn") == 0
    assert "done before" in capsys.readouterr().out


def test_a_system_hears_songs_second_order_as_it_is_and_the_others_standardised(place):
    heard = Input("scattering", 16_000, 28_000, {"T": 512, "normalization": "song"}).config()
    prepared = prepare(heard, place.config, place.data, place.data / "labels/top3/labels.csv")
    train, *_ = prepared.splits()
    raw = dataset.read_features(prepared.features, [clip.clip_id for clip in train.clips])[1]
    order = representations.of(heard).axes["order"]
    np.testing.assert_array_equal(train.features[..., order == 2], raw[..., order == 2])
    moments = train.features[..., order == 1].mean(dim=(0, 1)), train.features[..., order == 1].std(dim=(0, 1))
    np.testing.assert_allclose(moments[0], 0, atol=1e-3)
    np.testing.assert_allclose(moments[1], 1, atol=1e-2)


def test_exclusive_classes_are_cross_validated_as_params_configure_them(tmp_path, make_corpus, monkeypatch, capsys):
    short = dataclasses.replace(published.SYSTEMS["mirex-5l-512h-lstm"], representation=Input("mel", RATE, 28_000))
    monkeypatch.setattr(published, "SYSTEMS", published.SYSTEMS | {short.name: short})
    place = fill(tmp_path, *make_corpus(songs=12, where=tmp_path))
    content = yaml.safe_load(place.params.read_text())
    entry = ENTRY | {"system": short.name, "classes": ["high", "low"]}
    content["crossvalidations"] = {"pitch": entry, "other": {**entry, "system": "scat-5l-512h-gru"}}
    place.params.write_text(yaml.safe_dump(content))
    assert papers(place, short.name) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("mirex-5l-512h-lstm@pitch: accuracy ")
    written = json.loads((place.folder / "metrics/papers/tones/mirex-5l-512h-lstm@pitch.json").read_text())
    assert (written["corpus"], written["rule"], written["budget_minutes"]) == ("tones", "quick", 0.02)
    assert written["training"]["folds"] == 3
    assert written["training"]["epochs"] >= 3
    assert set(written["recall"]) == {"high", "low"}
    predicted = (place.data / "papers/scores/mirex-5l-512h-lstm@pitch.csv").read_text().splitlines()
    assert predicted[0] == "clip_id,fold,actual,predicted"
    assert len(predicted) == 1 + written["clips"]
    assert papers(place, short.name) == 0
    assert "done before" in capsys.readouterr().out


@pytest.fixture
def found(monkeypatch):
    """What trials find, another batch each time, as on a machine whose free memory and speed change."""
    batches = []

    def fitting(*_):
        batches.append(12 - len(batches))
        return {"batch": batches[-1], "epochs": 3}

    monkeypatch.setattr(budget, "fitting", fitting)
    return batches


class Killer:
    """Kill a run where an epoch begins, or in another function; count the epochs that begin."""

    def __init__(self, patch):
        self.patch, self.begun, begin = patch, [], BestWeights.on_train_epoch_start
        self.epoch = None

        def watched(best, trainer, module):
            if len(self.begun) == self.epoch:
                raise RuntimeError("killed")
            self.begun.append(trainer.current_epoch)
            begin(best, trainer, module)

        patch.setattr(BestWeights, "on_train_epoch_start", watched)

    def kill(self, where, work):
        self.begun.clear()
        with self.patch.context() as patch:
            if where in ("first epoch", "third epoch"):
                self.epoch = {"first epoch": 0, "third epoch": 2}[where]
            else:
                patch.setattr(where, self._killed)
            with pytest.raises(RuntimeError, match="killed"):
                work()
        self.epoch = None
        self.begun.clear()

    @staticmethod
    def _killed(*_, **__):
        raise RuntimeError("killed")


def results(place, stem):
    model = place.data / "papers/models" / stem
    files = [place.folder / f"metrics/papers/tones/{stem}.json", place.data / f"papers/scores/{stem}.csv"]
    return {path.name: path.read_bytes() for path in [*files, *model.rglob("*.safetensors")]}


@pytest.mark.parametrize(
    ("where", "left"),
    [("third epoch", [2]), ("earmark.papers.run.evaluate_models", []), ("earmark.models.saved.SavedModel.save", []),
     ("earmark.papers.run.write_json", [])],
)  # fmt: skip
def test_a_stopped_run_keeps_what_its_trial_found_and_what_it_learnt(place, monkeypatch, found, where, left):
    killer = Killer(monkeypatch)
    assert papers(place, "mel-2d-cnn") == 0
    undisturbed = results(place, "mel-2d-cnn")
    assert not (place.data / "papers/checkpoints/mel-2d-cnn").exists()
    (place.folder / "metrics/papers/tones/mel-2d-cnn.json").unlink()
    found.clear()

    killer.kill(where if where != "earmark.papers.run.write_json" else _RESULT, lambda: papers(place, "mel-2d-cnn"))
    assert papers(place, "mel-2d-cnn") == 0
    assert killer.begun == left
    assert found == [12]
    assert results(place, "mel-2d-cnn") == undisturbed
    assert not (place.data / "papers/checkpoints/mel-2d-cnn").exists()


_RESULT = "earmark.papers.run.scoring.write_scores"  # just before the result; the trial's file is JSON, too


def test_a_trial_is_of_one_machine_and_one_budget_and_a_damaged_one_is_made_again(place, monkeypatch, found):
    killer = Killer(monkeypatch)
    killer.kill("first epoch", lambda: papers(place, "mel-2d-cnn"))
    path = place.data / "papers/checkpoints/mel-2d-cnn/budget.json"
    for harm in ("{", '{"key": "another", "found": {}}', "[]", '{"key": 1}'):
        path.write_text(harm)
        killer.kill("first epoch", lambda: papers(place, "mel-2d-cnn"))
    assert len(found) == 5
    killer.kill("first epoch", lambda: papers(place, "mel-2d-cnn"))
    assert len(found) == 5
    with monkeypatch.context() as patch:
        patch.setattr(papers_module, "makers", lambda: {"device": "another"})
        killer.kill("first epoch", lambda: papers(place, "mel-2d-cnn"))
    assert len(found) == 6


def test_a_result_holds_no_time_and_its_model_predicts(place):
    assert papers(place, "mel-2d-cnn") == 0
    written = results(place, "mel-2d-cnn")
    assert b"seconds" not in written["mel-2d-cnn.json"]
    kept = SavedModel.load(place.data / "papers/models/mel-2d-cnn/model.safetensors")
    row = place.papers().rows("mel-2d-cnn")[0]
    scores = read_scores(place.data / "papers/scores/mel-2d-cnn.csv")
    paths = {clip.clip_id: clip.path for clip in read_manifest(place.data / "corpus/manifest.csv")}
    predictor = Predictor(kept, {})
    for clip, expected in zip(scores.clip_ids, scores.values[0], strict=True):
        found = predictor.predict(place.audio / paths[clip]).probabilities
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert kept.code["features"] == dataset.origin(row.heard.features).code


CHANGES = {
    "code that trains": lambda place: digests(place, "train-convolutional"),
    "code that measures": lambda place: digests(place, "evaluate-convolutional"),
    "the system": lambda place: place.patch.setattr(
        published,
        "SYSTEMS",
        published.SYSTEMS | {"mel-2d-cnn": dataclasses.replace(published.get("mel-2d-cnn"), options={"dropout": 0.2})},
    ),
    "the evaluation": lambda place: place.add("evaluation", seed=2),
    "a label": lambda place: flip_a_label(place),
    "a clip": lambda place: write_mp3(next(place.audio.glob("0/*.mp3")), tone(2, 999)),
}


def digests(place, changed):
    real = provenance.digest
    place.patch.setattr(provenance, "digest", lambda name: "other" if name == changed else real(name))


def flip_a_label(place):
    path = place.data / "labels/top3/labels.csv"
    lines = unsealed(path).splitlines()
    lines[1] = lines[1][:-1] + str(1 - int(lines[1][-1]))
    sealed(path, "\n".join(lines) + "\n")


@pytest.mark.parametrize("what", CHANGES)
def test_the_mark_of_a_result_sees_whatever_it_depends_on(place, monkeypatch, what):
    place.patch = monkeypatch
    ((before,), (again,)) = (place.papers().rows("mel-2d-cnn") for _ in range(2))
    assert before.mark == again.mark
    CHANGES[what](place)
    if what == "a clip":
        clips = read_manifest(place.data / "corpus/manifest.csv")
        decode.decode_corpus(clips, place.audio, RATE, place.config.waveforms[RATE], place.data / "waveforms/16000")
    assert place.papers().rows("mel-2d-cnn")[0].mark != before.mark


def test_the_mark_of_classes_sees_their_code_and_their_settings(place, monkeypatch):
    short = dataclasses.replace(published.SYSTEMS["mirex-5l-512h-lstm"], representation=Input("mel", RATE, 28_000))
    monkeypatch.setattr(published, "SYSTEMS", published.SYSTEMS | {short.name: short})
    entry = ENTRY | {"system": short.name, "classes": ["high", "low"]}
    place.add("crossvalidations", pitch=entry, other=entry | {"folds": 2})
    first, second = place.papers().rows(short.name)
    assert {first.stem, second.stem} == {f"{short.name}@pitch", f"{short.name}@other"}
    assert first.mark != second.mark
    place.patch = monkeypatch
    digests(place, "crossvalidate-recurrent")
    assert place.papers().rows(short.name)[0].mark != first.mark


def test_an_unknown_system_is_named_before_any_is_trained(place, capsys):
    with pytest.raises(SystemExit):
        papers(place, "linear", "mel-2d-cn")
    shown = capsys.readouterr()
    assert "got 'mel-2d-cn': close to mel-2d-cnn" in shown.err
    assert not shown.out


def test_several_systems_have_a_process_each_and_one_that_fails_does_not_stop_the_next(place, capfd):
    """Clips of 2 s are padded to the 29 s that these take; a file in the place of a folder fails the first."""
    broken = place.data / "papers/standardize"
    broken.parent.mkdir(parents=True)
    broken.write_text("a file where a folder must be")
    assert papers(place, "linear", "mirex-5l-512h-lstm") == 1
    shown = capfd.readouterr()
    assert "mirex-5l-512h-lstm: left out" in shown.out
    broken.unlink()
    assert papers(place, "linear", "mirex-5l-512h-lstm") == 0
    assert [line.split(":")[0] for line in capfd.readouterr().out.splitlines()] == ["linear", "mirex-5l-512h-lstm"]
    assert place.papers().results("linear") == [place.folder / "metrics/papers/tones/linear.json"]


def test_a_system_whose_process_is_killed_is_named(place, capsys, monkeypatch):
    ended = iter([-9, 0])
    monkeypatch.setattr(
        "earmark.papers.command.subprocess.run", lambda *_, **__: SimpleNamespace(returncode=next(ended))
    )
    assert papers(place, "sample-cnn-song", "linear") == 9
    assert capsys.readouterr().err == "sample-cnn-song: killed by signal 9, of lack of memory perhaps\n"


@pytest.mark.parametrize("missing", ["data/labels/top3/labels.csv", "metrics/labels/top3.json"])
def test_without_labels_the_stages_that_make_them_are_named_once(place, capsys, missing):
    (place.folder / missing).unlink()
    for names in (("linear",), ("linear", "mel-2d-cnn")):
        with pytest.raises(SystemExit):
            papers(place, *names)
        shown = capsys.readouterr()
        told = f"error: {place.folder / missing} does not exist; run `dvc repro labels decode` first\n"
        assert (shown.out, shown.err) == ("", told)
