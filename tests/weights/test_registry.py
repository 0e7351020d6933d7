"""What the registry of published weights says, and what it does not know."""

from __future__ import annotations

import pytest

from earmark.errors import EarmarkError
from earmark.weights import registry


@pytest.mark.parametrize("weights", registry.WEIGHTS.values(), ids=registry.WEIGHTS)
def test_an_entry_says_all_that_is_needed(weights):
    assert len(weights.tags) == len(set(weights.tags)) == 50
    assert set(weights.digests) == {".index", ".data-00000-of-00001"}
    assert all(len(digest) == 64 for digest in weights.digests.values())
    assert weights.licence == "ISC"
    assert set(weights.published) == {"roc_auc", "pr_auc"}


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(EarmarkError, match="weights must be one of musicnn-mtt, musicnn-msd, got 'vgg'"):
        registry.get("vgg")
