"""Labels of somebody's own judge predictions; what they do not say counts nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.errors import EarmarkError
from earmark.judging import Judge
from earmark.prediction import Prediction


def said(file, *probabilities, split=None):
    values = np.array(probabilities)
    return Prediction(
        file, 3.0, np.zeros(1), ("a", "b"), values[None], values, np.full(2, 0.5), values >= 0.5, None, split
    )


def judge(tmp_path, text):
    (tmp_path / "l.csv").write_text(text)
    return Judge.of(tmp_path / "l.csv", ("a", "b"))


def test_accuracy_and_auc_are_those_of_the_files_that_have_both(tmp_path):
    found = judge(tmp_path, "file,a,b,other\nx.mp3,1,0,5\nd/y.mp3,0,1,5\nz.mp3,0,0,5\nabsent.mp3,1,1,5\n")
    shown = [
        found.with_labels(said(*one)) for one in (("x.mp3", 0.9, 0.6), ("d/y.mp3", 0.2, 0.4), ("e/z.mp3", 0.6, 0.1))
    ]
    assert [one.actual.tolist() for one in shown] == [[1, 0], [0, 1], [0, 0]]
    assert found.with_labels(said("other.mp3", 1, 1)).actual is None
    lines = found.text().splitlines()
    assert lines[0].endswith("l.csv: 3 of 4 files have a prediction")
    assert lines[1] == "accuracy 50.0 % of 6 labels"
    assert lines[2] == "ROC-AUC 0.7500, PR-AUC 0.7500: means of 2 tags"
    assert len(lines) == 3


def test_what_is_unknown_or_of_one_class_has_no_auc(tmp_path):
    found = judge(tmp_path, "file,a,b\nx.mp3,1,\ny.mp3,1,1\n")
    assert found.with_labels(said("x.mp3", 0.9, 0.6)).actual is None
    found.with_labels(said("y.mp3", 0.9, 0.6, split="train"))
    assert found.text().splitlines()[1:] == [
        "accuracy 100.0 % of 3 labels",
        "without AUC: 2 tags, which lack positives, negatives or labels among these files",
        "the model was trained on 1 of these files: this is no test of them",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,c\nx.mp3,1\n", "a column for none of the model's tags, which are a, b"),
        ("file,a\nx.mp3,2\n", r"row 2: 'a' must be 0, 1 or empty, got '2'"),
        ("file,a\nx.mp3,1\nx.mp3,1\n", r"row 3: 'x.mp3' stands twice"),
        ("name,a\nx.mp3,1\n", "file"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, told):
    with pytest.raises(EarmarkError, match=told):
        judge(tmp_path, text)
