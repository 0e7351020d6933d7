"""The mean of the scores of several experiments."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.evaluation.fusion import fused
from earmark.evaluation.metrics import EvaluationError
from earmark.evaluation.scoring import Scores


def scores(clips, *seeds, tags=("x", "y")):
    return Scores(tuple(clips), tags, tuple(range(len(seeds))), np.array(seeds, float))


def test_seeds_are_averaged_as_an_ensemble_is_and_clips_are_those_of_all_in_the_order_of_the_first():
    first = scores("abc", [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [[0.3, 0.2], [0.3, 0.4], [0.7, 0.6]])
    second = scores("cda", [[1.0, 0.0], [0.9, 0.9], [0.4, 0.6]])
    found = fused([first, second], "probabilities")
    assert (found.clip_ids, found.tags, found.seeds) == (("a", "c"), ("x", "y"), (0,))
    np.testing.assert_allclose(found.values, [[[0.3, 0.4], [0.8, 0.3]]])
    weighted = fused([first, second], "probabilities", weights=(3, 1))
    np.testing.assert_allclose(weighted.values[0, 0], [(3 * 0.2 + 0.4) / 4, (3 * 0.2 + 0.6) / 4])


def test_logits_of_certain_scores_are_finite():
    found = fused([scores("a", [[0.0, 1.0]]), scores("a", [[0.5, 0.5]])], "logits").values
    assert np.isfinite(found).all()
    assert found[0, 0, 0] == pytest.approx(np.sqrt(1e-9), rel=1e-3)
    assert found.sum() == pytest.approx(1)


def test_scores_that_have_nothing_in_common_are_refused():
    with pytest.raises(EvaluationError, match="no clip is scored by all"):
        fused([scores("a", [[0.0, 1.0]]), scores("b", [[0.5, 0.5]])], "probabilities")
    with pytest.raises(EvaluationError, match="different tags"):
        fused([scores("a", [[0.0, 1.0]]), scores("a", [[0.5, 0.5]], tags=("y", "x"))], "probabilities")
