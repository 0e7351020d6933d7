"""`earmark errors`: from the files of the pipeline to tables and a CSV, and what it says if they do not fit."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from earmark.cli import main
from earmark.config import ConfigError, load
from earmark.corpus.label_table import Labelled, read_labels, write_labels
from earmark.corpus.manifest import Clip, TagTable, read_manifest, write_manifest
from earmark.errors import EarmarkError
from earmark.evaluation.examine import examine, inputs, read
from earmark.models.saved import SavedModel
from earmark.storage import sealed_csv

TAGS = ("loud", "slow")
CLIPS = [Clip(str(n), f"f/song{n // 2}-{n}.mp3", "f", f"song{n // 2}", "artist", "test") for n in range(8)]
VALUES = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0], [0, 0]], np.uint8)
SCORES = np.array([[0.9, 0.8], [0.8, 0.7], [0.7, 0.9], [0.1, 0.3], [0.2, 0.6], [0.6, 0.1], [0.1, 0.2], [0.3, 0.1]])
PARAMS = """
corpus: {kind: magnatagatune, audio: audio, annotations: annotations.csv}
labels: {top: {top: 2, clean: true, synonyms: none.yaml}}
waveforms: {"16000": {samples: 30000}}
representations: {mel: {kind: mel, rate: 16000, samples: 28000}}
experiments:
  linear: {representation: mel, labels: top, model: linear}
  three: {representation: mel, labels: top, model: linear, seeds: [1, 2, 3]}
evaluation: {resamples: 20, seed: 1}
"""


class Model:
    """A saved model as far as its thresholds; the file holds them."""

    def __init__(self, thresholds, tags=TAGS):
        self.thresholds, self.tags = thresholds, tags

    decisive = SavedModel.decisive

    @classmethod
    def load(cls, path):
        found = (None if text == "None" else float(text) for text in path.read_text().split())
        return cls(tuple(found))


def scores_file(path, seeds=(1,), values=None, tags=TAGS):
    """Scores as evaluate writes them; those of seed s are off by s hundredths from those of seed 0."""
    rows = []
    for seed in seeds:
        for clip, row in zip(CLIPS, SCORES if values is None else values, strict=True):
            rows.append([clip.clip_id, clip.song, seed, *(row + (seed - np.mean(seeds)) / 100)])
    sealed_csv.write(path, ["clip_id", "song", "seed", *tags], rows)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A project whose pipeline has run, but for what a model holds beside its thresholds."""
    monkeypatch.setattr("earmark.evaluation.examine.SavedModel", Model)
    (tmp_path / "params.yaml").write_text(PARAMS)
    data = tmp_path / "data"
    # a clip of the training split, and the clips in another order than the scores have them
    clips = [Clip("t", "0/t.mp3", "0", "other", "artist", "train"), *reversed(CLIPS)]
    write_manifest(data / "corpus/manifest.csv", clips)
    labelled = [Labelled(c.clip_id, c.song, c.artist, c.split) for c in clips]
    values = np.concatenate([[[1, 1]], VALUES[::-1]]).astype(np.uint8)
    table = TagTable(tuple(c.clip_id for c in clips), TAGS, values)
    write_labels(data / "labels/top/labels.csv", labelled, table)
    scores_file(data / "scores/linear.csv")
    scores_file(data / "scores/three.csv", (1, 2, 3))
    models = {"linear": "0.5 None", "three/seed-1": "0.4 0.5", "three/seed-2": "0.6 0.5", "three/seed-3": "0.5 None"}
    for name, thresholds in models.items():
        file = data / "models" / name / "model.safetensors"
        file.parent.mkdir(parents=True)
        file.write_text(thresholds)
    return tmp_path


def examined(place, name="linear", tag=None):
    return examine(load(place / "params.yaml"), place / "data", name, tag)


def run(place, *arguments):
    return main(["errors", *arguments, "--params", str(place / "params.yaml"), "--data", str(place / "data")])


def test_clips_scores_and_labels_are_matched_by_their_ids(place):
    judged = read(load(place / "params.yaml"), place / "data", "linear")
    assert list(judged.clip_ids) == [clip.clip_id for clip in CLIPS]
    assert list(judged.files) == [clip.path for clip in CLIPS]
    assert list(judged.songs) == [clip.song for clip in CLIPS]
    np.testing.assert_array_equal(judged.targets, VALUES)
    np.testing.assert_allclose(judged.scores, SCORES)
    assert judged.thresholds.tolist() == [0.5, 0.5]  # the second tag has none


def test_of_several_seeds_scores_and_thresholds_are_means(place):
    judged = read(load(place / "params.yaml"), place / "data", "three")
    np.testing.assert_allclose(judged.scores, SCORES)
    np.testing.assert_allclose(judged.thresholds, [0.5, 0.5])


def test_the_tables_name_clip_file_and_how_sure(place, capsys):
    assert run(place, "linear", "--top", "2") == 0
    shown = capsys.readouterr().out
    assert "linear, test split: 8 clips, 2 tags" in shown
    assert "4 false positives, the 2 surest: predicted, but the clip lacks the tag." in shown
    assert "1 false negative: not predicted, but the clip has the tag." in shown
    (worst,) = (line for line in shown.splitlines() if "f/song1-2.mp3" in line)
    assert [cell.strip() for cell in worst.split("|")][1:-1] == ["slow", "1.41", "0.900", "0.500", "2", "f/song1-2.mp3"]
    assert "| loud |      slow |     3 |         3 |     2 |  50 % |  2.0 |" in shown


def test_one_tag_shows_its_own_mistakes_and_the_pairs_it_is_in(place, capsys):
    assert run(place, "linear", "--tag", "slow") == 0
    shown = capsys.readouterr().out
    assert "linear, test split: 8 clips, 1 tag\n" in shown
    assert "3 false positives: " in shown
    assert "| loud |      slow |" in shown
    run(place, "three", "--tag", "loud")
    assert "No false negatives: " in capsys.readouterr().out


def test_the_csv_holds_all_mistakes_with_their_songs(place, tmp_path):
    run(place, "linear", "--csv", str(tmp_path / "out/errors.csv"), "--top", "1")
    with (tmp_path / "out/errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["kind", "clip_id", "file", "song", "tag", "score", "threshold", "sure"]
    assert [(row["kind"], row["clip_id"], row["tag"]) for row in rows if row["kind"] == "false negative"] == [
        ("false negative", "3", "slow")
    ]
    assert len(rows) == len(examined(place).mistakes) == 5
    assert {row["song"] for row in rows} == {"song0", "song1", "song2"}


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("scores/three.csv", "dvc repro evaluate@three"),
        ("labels/top/labels.csv", "dvc repro labels@top"),
        ("corpus/manifest.csv", "dvc repro corpus"),
        ("models/three/seed-2/model.safetensors", "dvc repro train@three"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(place, file, command):
    (place / "data" / file).unlink()
    with pytest.raises(EarmarkError, match=f"{file} does not exist; run `{command}`, or `dvc pull` it"):
        inputs(load(place / "params.yaml"), place / "data", "three")


def test_an_experiment_or_a_tag_that_is_not_there_is_told_with_what_is_near(place):
    with pytest.raises(ConfigError, match=r"experiments of params\.yaml has no 'lineer': close to linear"):
        examined(place, "lineer")
    with pytest.raises(EarmarkError, match="linear has no tag 'slw': close to slow"):
        examined(place, tag="slw")
    with pytest.raises(EarmarkError, match="linear has no tag 'harp': there are loud, slow"):
        examined(place, tag="harp")


def refused(place, what):
    with pytest.raises(EarmarkError, match=what) as told:
        examined(place, "three")
    assert "run `dvc repro evaluate@three`" in str(told.value)


def test_scores_of_other_labels_clips_seeds_or_models_are_refused(place, monkeypatch):
    data = place / "data"
    scores_file(data / "scores/three.csv", (1, 2))
    refused(place, r"three.csv does not fit experiments.three.seeds, \[1, 2, 3\]")
    scores_file(data / "scores/three.csv", (1, 2, 3), tags=("loud", "fast"))
    refused(place, "does not fit the tags of .*labels.csv")
    scores_file(data / "scores/three.csv", (1, 2, 3))
    clips, table = read_labels(data / "labels/top/labels.csv")
    write_labels(data / "labels/top/labels.csv", clips[:-1], TagTable(table.clip_ids[:-1], TAGS, table.values[:-1]))
    refused(place, "does not fit the clips of .*labels.csv")
    write_labels(data / "labels/top/labels.csv", clips, table)
    manifest = read_manifest(data / "corpus/manifest.csv")
    write_manifest(data / "corpus/manifest.csv", manifest[:-1])
    refused(place, "does not fit the clips of .*manifest.csv")
    write_manifest(data / "corpus/manifest.csv", manifest)
    monkeypatch.setattr(Model, "load", classmethod(lambda cls, path: cls((0.5, 0.5), ("slow", "loud"))))  # noqa: ARG005
    refused(place, "does not fit the tags of its models")
