"""Mistakes by how sure the model is of them, on a scale that tags share, and the tags that are taken for others."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.evaluation.metrics import EvaluationError
from earmark.evaluation.mistakes import Judged, confusions, mistakes, sureness


def judged(scores, targets, thresholds=None, tags="abcdefgh", songs=None):
    scores, targets = np.asarray(scores, float), np.asarray(targets, np.uint8)
    n_clips, n_tags = scores.shape
    names = [f"clip{number}" for number in range(n_clips)]
    return Judged(
        names,
        songs or [f"song{number}" for number in range(n_clips)],
        [f"{name}.mp3" for name in names],
        list(tags[:n_tags]),
        scores,
        targets,
        np.full(n_tags, 0.5) if thresholds is None else np.asarray(thresholds, float),
    )


def odds(log_odds):
    return 1 / (1 + np.exp(-np.asarray(log_odds, float)))


def test_a_score_at_the_threshold_is_predicted_and_the_surest_mistake_comes_first():
    found = mistakes(judged([[0.5], [0.9], [0.2], [0.4], [0.1]], [[0], [0], [1], [0], [0]]))
    assert [(m.kind, m.clip_id) for m in found] == [
        ("false positive", "clip1"),
        ("false negative", "clip2"),
        ("false positive", "clip0"),
    ]
    assert (found[0].file, found[0].song, found[0].tag) == ("clip1.mp3", "song1", "a")
    assert (found[0].score, found[0].threshold) == (0.9, 0.5)
    assert found[2].sure == 0
    assert all(m.sure >= 0 for m in found)


def test_how_sure_is_the_distance_in_deviations_of_the_log_odds():
    """Of a tag whose log-odds are spread ten times as wide, a distance counts a tenth."""
    narrow = np.array([-3.0, -1, 0, 1, 3])
    found = sureness(odds(np.stack([narrow, 10 * narrow, 2 * narrow + 5], 1) / 5), odds([0, 0, 1]))
    np.testing.assert_allclose(found[:, 0], narrow / narrow.std())
    np.testing.assert_allclose(found[:, 1], found[:, 0])
    np.testing.assert_allclose(found[:, 2], found[:, 0])


def test_scores_of_0_and_1_are_as_sure_as_can_be_and_no_more():
    found = sureness(np.array([[0.0], [1.0], [0.5]]), np.array([0.5]))
    assert np.isfinite(found).all()
    assert found[1, 0] == pytest.approx(-found[0, 0])


def test_of_a_tag_with_one_score_for_all_clips_it_is_not_defined_how_sure_and_its_mistakes_come_last():
    scores = np.array([[0.6, 0.1], [0.6, 0.8], [0.6, 0.4]])
    assert np.isnan(sureness(scores, np.array([0.5, 0.5]))[:, 0]).all()
    found = mistakes(judged(scores, [[0, 0], [1, 0], [0, 0]]))
    assert [(m.clip_id, m.tag) for m in found] == [("clip1", "b"), ("clip0", "a"), ("clip2", "a")]


@pytest.mark.parametrize("scores", [[1e-12, 1e-10, 1e-11], [1 - 1e-12, 1 - 1e-10, 1.0]])
def test_scores_that_count_as_the_same_are_none_that_a_model_could_be_sure_of(scores):
    assert np.isnan(sureness(np.array(scores)[:, None], np.array([0.5]))).all()


def test_mistakes_of_one_tag_are_as_sure_as_among_all():
    rng = np.random.default_rng(0)
    clips = judged(rng.random((30, 3)), rng.random((30, 3)) < 0.4)
    assert mistakes(clips, ["b"]) == [m for m in mistakes(clips) if m.tag == "b"]


def test_a_score_that_is_no_number_is_refused_with_its_tag():
    with pytest.raises(EvaluationError, match="of tag 'b'"):
        judged([[0.5, np.nan]], [[0, 1]])


def test_a_tag_that_is_taken_for_another_is_found_with_its_counts_and_its_lift():
    """Of ten clips eight lack b; it is predicted for the three with a, of two songs, and for one more."""
    targets = np.zeros((10, 2), int)
    targets[:3, 0] = targets[8:, 1] = 1
    scores = np.full((10, 2), 0.2)
    scores[[0, 1, 2, 5, 8], 1] = 0.9
    songs = ["x", "x", *"bcdefghi"]
    (found,) = confusions(judged(scores, targets, songs=songs))
    assert (found.has, found.taken_for, found.clips, found.predicted, found.songs) == ("a", "b", 3, 3, 2)
    assert found.base == 4 / 8
    assert found.lift == 2
    assert confusions(judged(scores, targets), least=4) == []


def test_a_tag_that_is_predicted_for_all_clips_alike_is_confused_with_none():
    targets = np.zeros((10, 2), int)
    targets[:5, 0] = 1
    assert confusions(judged(np.full((10, 2), [0.2, 0.9]), targets)) == []


def test_a_tag_that_all_clips_have_confuses_nobody():
    assert confusions(judged(np.full((4, 2), 0.9), [[1, 1]] * 4)) == []


def test_the_pair_with_most_mistakes_beyond_the_usual_is_first_and_one_tag_picks_its_pairs():
    targets = np.zeros((40, 4), int)
    targets[:10, 0] = targets[10:20, 1] = 1
    scores = np.full((40, 4), 0.1)
    scores[:6, 2] = scores[10:14, 3] = 0.9
    clips = judged(scores, targets)
    assert [(c.has, c.taken_for) for c in confusions(clips)] == [("a", "c"), ("b", "d")]
    assert [(c.has, c.taken_for) for c in confusions(clips, ["d"])] == [("b", "d")]
    assert [(c.has, c.taken_for) for c in confusions(clips, ["a"])] == [("a", "c")]
