"""Precision and recall, calibration and confusion, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.results import HOSTILE, TAGS, write_results
from helpers.scores import random_problem
from sklearn.metrics import precision_recall_curve

from earmark.errors import EarmarkError
from earmark.files import write_csv
from earmark.report.quality import RECALLS, calibration, matrix, precision_recall, read
from earmark.storage import sealed_csv


def test_precision_is_the_highest_that_a_threshold_with_that_recall_has():
    scores, targets = random_problem()
    expected = []
    for tag in (0, 1, 3, 5):  # the others lack a class
        precision, recall, _ = precision_recall_curve(targets[:, tag], scores[:, tag])
        expected.append([precision[:-1][recall[:-1] >= wanted - 1e-12].max() for wanted in RECALLS])
    found = precision_recall(np.stack([scores, scores]), targets)
    assert [x for x, _ in found] == RECALLS.tolist()
    assert [y for _, y in found] == pytest.approx(np.mean(expected, axis=0), abs=1e-4)


def test_calibration_of_groups_by_hand():
    scores = np.repeat([0.1, 0.9], 10)[None, :, None]
    targets = np.array([0] * 9 + [1] + [1] * 5 + [0] * 5, np.uint8)[:, None]
    points, error = calibration(scores, targets)
    assert len(points) == 10
    assert {x for x, _ in points} == {0.1, 0.9}
    assert np.mean([y for x, y in points if x == 0.9]) == pytest.approx(0.5)
    assert error == pytest.approx((4 * 0.1 + 0.4 + 2 * 0.1 + 0.4 + 2 * 0.9) / 10)  # pairs, in the order of the clips


def test_scores_that_are_the_frequencies_have_no_error():
    scores = np.full((1, 1000, 1), 0.3)
    targets = np.tile([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 100).astype(np.uint8)[:, None]
    assert calibration(scores, targets)[1] == pytest.approx(0, abs=1e-9)


def test_a_matrix_counts_the_clips_that_got_a_tag_which_they_lack(tmp_path):
    metrics, scores, labels = write_results(tmp_path)
    found = read("linear", scores / "linear.csv", labels / "top50/labels.csv", metrics / "tags/linear.csv")
    judged = found.judged()
    assert judged.thresholds.tolist() == [0.5] * 3  # without a threshold in the file, too
    drawn = matrix(found)
    assert set(drawn.names) <= set(TAGS)
    assert len(drawn.cells) == len(drawn.names) ** 2
    for row, has in enumerate(drawn.names):
        for column, taken in enumerate(drawn.names):
            a, b = judged.tags.index(has), judged.tags.index(taken)
            there = (judged.targets[:, a] > 0) & (judged.targets[:, b] == 0)
            if row == column:
                assert np.isnan(drawn.shares[row][column])
            else:
                assert drawn.shares[row][column] == pytest.approx(judged.predicted[there, b].mean())
    assert HOSTILE in "".join(drawn.cells)


def test_tags_whose_cells_a_spreadsheet_takes_for_the_same_have_their_own_thresholds(tmp_path):
    tags = ("=x", "'=x")
    sealed_csv.write(
        tmp_path / "labels.csv", ["clip_id", "song", "artist", "split", *tags], [["c", "s", "a", "test", 1, 0]]
    )
    sealed_csv.write(tmp_path / "scores.csv", ["clip_id", "song", "seed", *tags], [["c", "s", 1, 0.3, 0.8]])
    write_csv(tmp_path / "tags.csv", ("tag", "threshold"), [[tags[0], 0.2], [tags[1], 0.9]])
    found = read("net", tmp_path / "scores.csv", tmp_path / "labels.csv", tmp_path / "tags.csv")
    assert found.judged().predicted.tolist() == [[True, False]]


def test_scores_of_other_tags_are_refused_with_what_makes_them_again(tmp_path):
    metrics, scores, labels = write_results(tmp_path)
    write_csv(metrics / "tags/net.csv", ("tag", "threshold"), [["other", 0.5]])
    with pytest.raises(EarmarkError, match=r"do not fit each other; run `dvc repro evaluate@net`"):
        read("net", scores / "net.csv", labels / "top50/labels.csv", metrics / "tags/net.csv")
