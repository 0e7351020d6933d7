"""What the listening page is told of the clips."""

from __future__ import annotations

import json

import numpy as np
from helpers.results import HOSTILE

from earmark.evaluation.mistakes import Judged
from earmark.listening.clips import content


def judged() -> Judged:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.5], [0.6, 0.3, 0.5]])
    targets = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0]], np.uint8)
    ids, files = ["a", "b", "c"], ["0/a.wav", f"1/{HOSTILE.replace('/', '')}.wav", "2/c.wav"]
    return Judged(ids, ids, files, ["piano", HOSTILE, "flat"], scores, targets, np.array([0.5, 0.5, 0.4]))


def test_true_and_predicted_tags_and_how_sure_the_tagger_is_of_each():
    found = content("net", judged())
    assert [clip["has"] for clip in found["clips"]] == [[0, 1], [0, 1, 2], []]
    assert [clip["got"] for clip in found["clips"]] == [[0, 2], [1, 2], [0, 2]]
    first = found["clips"][0]
    assert first["scores"] == [0.9, 0.1, 0.5]
    assert first["sure"][0] > found["clips"][2]["sure"][0]
    assert first["sure"][2] is None  # the same score for every clip
    assert found["thresholds"] == [0.5, 0.5, 0.4]


def test_it_is_json_without_what_json_lacks():
    text = json.dumps(content("net", judged()), allow_nan=False)
    assert HOSTILE in json.loads(text)["tags"]
