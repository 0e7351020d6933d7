"""Fusions in the report: measured as an experiment is, with a row and in pairs; and what is said without scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from helpers import ROOT
from helpers.metrics import tagged
from helpers.sealed import sealed, unsealed

from earmark.config import Config
from earmark.corpus.label_table import Labelled, write_labels
from earmark.corpus.manifest import TagTable
from earmark.evaluation.comparison import compare_files
from earmark.evaluation.details import details
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.metrics import EvaluationError
from earmark.evaluation.scoring import write_scores
from earmark.features.dataset import Split
from earmark.files import write_json
from earmark.report import tables
from earmark.report.fusions import measured

CLIPS = [Labelled(str(i), f"song {i // 2}", "x", "test") for i in range(60)]
BOTH = {"experiments": ["net", "floor"]}


@pytest.fixture
def place(tmp_path):
    """A network of two seeds and a floor without any, each of which is better on one half of the clips."""
    rng = np.random.default_rng(0)
    targets = (rng.random((60, 2)) < 0.5).astype(np.uint8)
    write_labels(tmp_path / "labels.csv", CLIPS, TagTable(tuple(c.clip_id for c in CLIPS), ("x", "y"), targets))
    split = Split(torch.zeros(60, 1, 1), torch.from_numpy(targets), tuple(CLIPS), ("x", "y"), 0)
    noise = rng.random((3, 60, 2))
    noise[0, :30] *= 0.3
    noise[1:, 30:] *= 0.3
    values = 0.25 * targets + 0.7 * noise
    for name, each in {"net": values[1:], "floor": values[:1]}.items():
        write_scores(tmp_path / f"scores/{name}.csv", split, each, range(len(each)))
        training = {"epochs": 3 + len(each), "parameters": 100, "seeded": name == "net"}
        write_json(tmp_path / f"details/{name}.json", details({}, dict.fromkeys(range(len(each)), training)))
    here = dict.fromkeys(("net", "floor"), tmp_path / "labels.csv")
    return SimpleNamespace(folder=tmp_path, values=values, targets=targets, here=here)


def config(**fusions: object) -> Config:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    one = {"representation": "mel", "labels": "top50", "model": "linear"}
    return Config.model_validate(content | {"experiments": dict.fromkeys(("net", "floor"), one), "fusions": fusions})


def found_in(place, **fusions):
    return measured(config(**fusions), place.here, place.folder, place.folder / "scores")


def test_the_mean_of_the_scores_is_measured_as_an_experiment_is(place):
    found, notes = found_in(place, both=BOTH, mostly=BOTH | {"weights": [1, 3]})
    assert notes == []
    net, floor = place.values[1:].mean(axis=0), place.values[0]
    for name, scores in {"both": (net + floor) / 2, "mostly": (net + 3 * floor) / 4}.items():
        expected = evaluate(scores, place.targets, [clip.song for clip in CLIPS], ("x", "y"), 1000, 1).summary
        assert found[name].test["roc_auc"] == pytest.approx(expected["roc_auc"])
        assert found[name].test["pr_auc"] == pytest.approx(expected["pr_auc"])
    assert found["both"].test["roc_auc"]["macro"] > max(
        evaluate(each, place.targets, [clip.song for clip in CLIPS]).summary["roc_auc"]["macro"]
        for each in (net, floor)
    )


def test_it_has_a_row_among_the_experiments_and_is_in_the_pairs(place):
    tagged(place.folder, "other", 0.1)
    (found, _) = found_in(place, both=BOTH)
    first, last = tables.experiments(place.folder, ["other"], found)
    test = found["both"].test
    assert (first[0], first[1]) == ("both, fusion of 2", f"{test['roc_auc']['macro']:.4f}")
    assert first[5:] == ("2 of 2", "60", "30", "1 to 2", "300", "4 to 5")
    assert last[0] == "other"
    assert found["both"].seeded
    held = {name: fusion.scores for name, fusion in found.items()}
    rows = compare_files(place.folder / "scores", place.here | {"both": found["both"].labels}, ("floor",), 200, 1, held)
    assert [(row.first, row.second) for row in rows] == [("net", "floor"), ("net", "both"), ("floor", "both")]
    assert rows[1].difference < 0
    assert not rows[2].settled  # what other seeds would give is not known of a fusion


def test_what_is_not_here_is_named_and_scores_of_other_labels_are_refused(place):
    del place.here["floor"]
    assert found_in(place, both=BOTH) == ({}, ["not fused: both, the scores of floor are not here"])
    place.here["floor"] = place.here["net"]
    path = place.folder / "labels.csv"
    sealed(path, unsealed(path).replace(",x,y", ",y,x", 1))
    with pytest.raises(EvaluationError, match=r"fusions\.both: the scores are of other tags than .*labels\.csv"):
        found_in(place, both=BOTH)


def test_no_fusions_change_nothing(place):
    assert found_in(place) == ({}, [])
    tagged(place.folder, "other", 0.1)
    assert tables.experiments(place.folder, ["other"], {}) == tables.experiments(place.folder, ["other"])
