"""The summary, the table of tags and the ROC curve of a split; which inputs are refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scores import random_problem
from sklearn.metrics import roc_auc_score

from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.metrics import EvaluationError, defined


def test_a_perfect_ranking_and_its_summary():
    targets = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    result = evaluate(targets.astype(float), targets, np.array([0, 0, 1, 1]), ("a", "b"), 50, 1)
    assert result.summary["roc_auc"] == {"macro": 1, "low": 1, "high": 1, "micro": 1}
    assert result.summary["pr_auc"] == {"macro": 1}
    assert result.summary["tags"] == {"defined": 2, "undefined": 0}
    assert (result.summary["clips"], result.summary["songs"]) == (4, 2)
    assert result.tags == [["a", 2, 1.0, 1.0, ""], ["b", 2, 1.0, 1.0, ""]]
    assert result.summary["equal_error"] == {"chosen_on_test": {"tpr": 1, "fpr": 0, "tags": 2}}
    assert result.roc[0] == [0, 1]


def test_undefined_tags_are_counted_and_their_cells_empty():
    scores, targets = random_problem()
    result = evaluate(scores, targets, np.arange(60), tuple("abcdef"), 50, 1)
    assert result.summary["tags"] == {"defined": 4, "undefined": 2}
    assert result.tags[2] == ["c", 0, "", "", ""]
    assert result.tags[4] == ["e", 60, "", "", ""]
    assert len(result.roc) == 101


def test_micro_auc_pools_all_cells_of_the_defined_tags():
    scores, targets = random_problem()
    mask = defined(targets)
    expected = roc_auc_score(targets[:, mask].ravel(), scores[:, mask].ravel())
    assert evaluate(scores, targets, np.arange(60), tuple("abcdef"), 9, 1).summary["roc_auc"]["micro"] == expected


def test_songs_may_be_names_and_tags_have_numbers_for_names():
    scores, targets = random_problem()
    songs = np.arange(60) // 2
    named = evaluate(scores, targets, [f"song {song}" for song in songs], tuple("abcdef"), 50, 1)
    numbered = evaluate(scores.tolist(), targets.astype(bool), 7 * songs[::-1], resamples=50)
    assert numbered.summary["songs"] == 30
    assert numbered.summary == named.summary
    assert [row[0] for row in numbered.tags] == ["0", "1", "2", "3", "4", "5"]


def test_inputs_of_other_clips_are_refused():
    scores, targets = random_problem()
    with pytest.raises(EvaluationError, match=r"got \(60, 6\) and \(59, 6\), 60 songs and 6 names"):
        evaluate(scores, targets[1:], np.arange(60))
    with pytest.raises(EvaluationError, match="58 songs and 6 names"):
        evaluate(scores, targets, np.arange(58))
    with pytest.raises(EvaluationError, match="60 songs and 2 names"):
        evaluate(scores, targets, np.arange(60), ("a", "b"))
