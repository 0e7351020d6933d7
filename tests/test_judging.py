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


def judge(tmp_path, text, *files):
    (tmp_path / "l.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return Judge.of(tmp_path / "l.csv", ("a", "b"), files)


def test_accuracy_and_auc_are_those_of_the_files_that_have_both(tmp_path):
    text = "file,a,b,other\nx.mp3,1,0,5\nd/y.mp3,0,1,5\nz.mp3,0,0,5\nabsent.mp3,1,1,5\n"
    found = judge(tmp_path, text, "x.mp3", "d/y.mp3", "e/z.mp3", "other.mp3")
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
    found = judge(tmp_path, "file,a,b\nx.mp3,1,\ny.mp3,1,1\n", "x.mp3", "y.mp3")
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
        ("file,a\nx.mp3,2\n", r"line 2: 'a' must be 0, 1 or empty, got '2'"),
        ("file,a\nx.mp3,1\nx.mp3,1\n", r"line 3: 'x.mp3' stands twice"),
        ("name,a\nx.mp3,1\n", "l.csv: column 'file' is missing, got name, a"),
        ("file,a,a\nx.mp3,1,0\n", "column 'a' stands in the header more than once"),
        ("file,a\n", r"l\.csv has no row below its header"),
        ("file,a\none.mp3,1\n", r"'one\.mp3' may be d/one\.mp3 or e/one\.mp3; write the path of the one that is meant"),
        ("file,a\nCaf\xe9.mp3,1\n".encode("latin-1"), "--labels: .* is not UTF-8 at byte 10, in line 2"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, told):
    with pytest.raises(EarmarkError, match=told):
        judge(tmp_path, text, "x.mp3", "d/one.mp3", "e/one.mp3")


@pytest.mark.parametrize("text", ["\ufefffile,a,b\r\nx.mp3,1,0\r\n\r\n", "file;b;a\nx.mp3;0;1\n;;\n"])
def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path, text):
    assert judge(tmp_path, text, "x.mp3").with_labels(said("x.mp3", 0.9, 0.1)).actual.tolist() == [1, 0]


def test_of_files_of_one_name_the_row_with_the_path_is_that_of_its_file_alone(tmp_path):
    found = judge(tmp_path, "file,a,b\nd/x.mp3,1,0\nx.mp3,0,1\n", "e/x.mp3", "d/x.mp3")
    assert [found.with_labels(said(f"{folder}/x.mp3", 1, 1)).actual.tolist() for folder in "ed"] == [[0, 1], [1, 0]]
    found = judge(tmp_path, "file,a,b\nx.mp3,0,1\n", "d/x.mp3", "x.mp3")
    assert found.with_labels(said("d/x.mp3", 1, 1)).actual is None
    assert found.with_labels(said("x.mp3", 1, 1)).actual.tolist() == [0, 1]


def test_files_whose_labels_are_all_unknown_have_no_accuracy(tmp_path):
    found = judge(tmp_path, "file,a\nx.mp3,\n", "x.mp3")
    found.with_labels(said("x.mp3", 0.9, 0.6))
    assert found.text().endswith("l.csv: 1 of 1 files have a prediction, and none of them a label\n")
