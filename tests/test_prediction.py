"""A prediction as rows, tables and JSON: what is asked for, the most probable tag first."""

from __future__ import annotations

import numpy as np

from earmark.prediction import Prediction, Wish


def said(**changes):
    each = np.array([[0.2, 0.9, 0.5], [0.4, 0.7, 0.6]])
    given = {
        "file": "x.mp3", "seconds": 75.0, "starts": np.array([0.0, 60.0]), "tags": ("low", "high", "loud"),
        "each": each, "probabilities": each.mean(0), "thresholds": np.array([0.25, 0.85, 0.5]),
        "predicted": np.array([True, False, True]), "actual": None,
    }  # fmt: skip
    return Prediction(**(given | changes))


def test_a_row_has_probability_and_threshold_and_the_most_probable_comes_first():
    assert [row["tag"] for row in said().rows()] == ["high", "loud", "low"]
    first = said().rows()[0]
    assert first == {"tag": "high", "probability": 0.8, "threshold": 0.85, "predicted": False}


def test_only_what_is_asked_for_is_shown():
    assert [row["tag"] for row in said().rows(Wish(top=2))] == ["high", "loud"]
    assert [row["tag"] for row in said().rows(Wish(least=0.5))] == ["high", "loud"]
    assert [row["tag"] for row in said().rows(Wish(tags=("low", "high")))] == ["high", "low"]
    assert said().rows(Wish(least=1.0)) == []
    assert "tag" in said().table(Wish(least=1.0))


def test_a_timeline_covers_the_file():
    rows = said().timeline(Wish(top=1))
    assert rows == [
        {"start": 0.0, "end": 60.0, "tags": {"high": 0.9}},
        {"start": 60.0, "end": 75.0, "tags": {"high": 0.7}},
    ]
    assert said().timeline_table(Wish(top=1)).splitlines()[1:] == [
        "     from       to   high",
        "   0:00.0   1:00.0  0.900",
        "   1:00.0   1:15.0  0.700",
    ]
    assert said().as_dict(Wish(top=1), timeline=True)["timeline"] == rows


def test_a_clip_that_trained_the_model_is_marked():
    known = said(actual=np.array([1, 1, 0]), split="train")
    assert known.as_dict()["split"] == "train"
    assert "it was trained on this clip: its accuracy here is no test" in known.table()
    assert "accuracy over 3 tags: 33.3 %" in known.table()
    assert "trained" not in said(actual=np.array([1, 1, 0]), split="test").table()
