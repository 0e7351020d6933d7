"""Every labelled clip is scored once, by a network that heard nothing of its artist; scores of folds are comparable."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.music import write_songs
from helpers.small_data import CNN, LINEAR, fill
from sklearn.metrics import roc_auc_score

from earmark.config import ConfigError
from earmark.corpus.label_table import read_labels
from earmark.training import folds
from earmark.training.folds import Wish


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    found = fill(folder, *write_songs(folder, songs=12), n_mels=48)
    found.add("labels", top2={"top": 2, "clean": True, "synonyms": found.config.labels["top3"].synonyms.as_posix()})
    found.add("experiments", linear=LINEAR, two=CNN | {"seeds": [1, 2], "epochs": 1}, other=LINEAR | {"labels": "top2"})
    return found


def watched(monkeypatch):
    """The artists of the parts of every training."""
    seen = []
    fit = folds.fit

    def fitted(plan, seed, train, valid):
        flat = train.features.reshape(-1, train.features.shape[-1])
        np.testing.assert_allclose(flat.mean(dim=0), 0, atol=1e-3)  # of the training part alone
        seen.append(({c.artist for c in train.clips}, {c.artist for c in valid.clips}, seed))
        return fit(plan, seed, train, valid)

    monkeypatch.setattr(folds, "fit", fitted)
    return seen


def test_a_clip_is_scored_by_a_network_that_heard_nothing_of_its_artist(place, monkeypatch):
    seen = watched(monkeypatch)
    found = folds.crossvalidated(place.config, "two", place.data, Wish(folds=3))
    clips, _ = read_labels(place.data / "labels/top3/labels.csv")
    artists = {clip.clip_id: clip.artist for clip in clips}
    assert sorted(found.scores.clip_ids) == sorted(artists)
    assert [seed for _, _, seed in seen] == [1, 1, 1, 2, 2, 2]
    every = set(artists.values())
    held_out = [every - train - valid for train, valid, _ in seen]
    assert not any(train & valid for train, valid, _ in seen)
    assert set().union(*held_out[:3]) == every
    assert sum(map(len, held_out[:3])) == len(every)
    assert held_out[:3] == held_out[3:]  # the folds are the same for every seed
    assert found.scores.values.shape == (2, len(clips), 3)
    assert found.each.shape == (2, 3)


def test_scores_are_ranks_within_a_fold_whose_auc_they_keep(place, monkeypatch):
    raw = []
    score = folds.scoring.score

    def scored(*arguments):
        raw.append(score(*arguments))
        return raw[-1]

    monkeypatch.setattr(folds.scoring, "score", scored)
    found = folds.crossvalidated(place.config, "linear", place.data, Wish(folds=3))
    _, table = read_labels(place.data / "labels/top3/labels.csv")
    rows = dict(zip(table.clip_ids, table.values, strict=True))
    first = 0
    for number, scores in enumerate(raw):
        ranks = found.scores.values[0, first : first + len(scores)]
        targets = np.array([rows[clip] for clip in found.scores.clip_ids[first : first + len(scores)]])
        assert ((ranks > 0) & (ranks < 1)).all()
        mixed = [tag for tag in range(3) if 0 < targets[:, tag].sum() < len(targets)]
        assert mixed
        for values in (scores, ranks):
            auc = np.mean([roc_auc_score(targets[:, tag], values[:, tag]) for tag in mixed])
            assert auc == pytest.approx(found.each[0, number])
        first += len(scores)


def test_without_the_test_split_its_clips_are_neither_learnt_nor_scored(place, monkeypatch):
    seen = watched(monkeypatch)
    found = folds.crossvalidated(place.config, "linear", place.data, Wish(folds=3, splits=("train", "valid")))
    clips, _ = read_labels(place.data / "labels/top3/labels.csv")
    tested = {clip.artist for clip in clips if clip.split == "test"}
    assert set(found.scores.clip_ids) == {clip.clip_id for clip in clips if clip.split != "test"}
    assert not any((train | valid) & tested for train, valid, _ in seen)


def test_the_tables_have_a_row_per_experiment_and_per_pair(place, capsys):
    text = folds.table(place.config, ["linear", "two"], place.data, Wish(folds=3))
    told = capsys.readouterr().err.splitlines()  # while it runs, for it may take hours
    assert [line.partition(": ROC-AUC 0.")[0] for line in told] == ["linear", "two"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line]
    assert [row[0] for row in rows if row[0] in ("linear", "two")] == ["linear", "two", "linear"]
    found = folds.crossvalidated(place.config, "two", place.data, Wish(folds=3))
    (two,) = (row for row in rows if row[0] == "two")
    each = found.each.mean(axis=0)
    expected = [each.mean(), each.min(), each.max(), 2]
    np.testing.assert_allclose([float(cell) for cell in two[3:]], expected, atol=1e-4)
    low, high = map(float, two[2].split(" to "))
    assert low <= float(two[1]) <= high
    assert float(rows[-1][2]) == pytest.approx(float(rows[2][1]) - float(two[1]), abs=2e-4)


def test_a_fold_that_cannot_be_measured_is_refused_before_any_is_trained(place, monkeypatch):
    def alike(*arguments):
        found = read(*arguments)
        first = [clip.artist == found.clips[0].artist for clip in found.clips]
        return dataclasses.replace(found, targets=np.where(np.array(first)[:, None], found.targets, 1))

    read, seen = folds._read, watched(monkeypatch)
    monkeypatch.setattr(folds, "_read", alike)
    with pytest.raises(ConfigError, match=r"folds 3: fold \d: no tag can be evaluated: of 3 tags on \d clips none has"):
        folds.crossvalidated(place.config, "linear", place.data, Wish(folds=3))
    assert not seen


@pytest.mark.parametrize(
    ("names", "wish", "message"),
    [
        (["linaer"], Wish(), "experiments of params.yaml has no 'linaer': close to linear"),
        (["linear", "other"], Wish(), "must have the same labels to be compared, got top2, top3"),
        (
            ["linear"],
            Wish(splits=("tarin", "valid")),
            "splits must be among train, valid, test, got 'tarin': close to train",
        ),
        (["linear"], Wish(folds=2), r"folds must be in \[3, 12\], the number of artists, got 2"),
        (["linear"], Wish(folds=40), r"folds must be in \[3, 12\], the number of artists, got 40"),
    ],
)
def test_what_cannot_be_is_refused(place, names, wish, message):
    with pytest.raises(ConfigError, match=message):
        folds.table(place.config, names, place.data, wish)
