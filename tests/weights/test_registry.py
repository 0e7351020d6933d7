"""What the registry of published weights says, and what it does not know."""

from __future__ import annotations

import pytest
from helpers import ROOT

from earmark.errors import EarmarkError
from earmark.systems import published
from earmark.weights import registry
from earmark.weights.command import prepare


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


def test_the_page_of_the_systems_and_the_list_have_the_figures_that_the_authors_print():
    printed = registry.get("musicnn-mtt").published
    note = published.get("musicnn").note
    assert f"ROC-AUC {printed['roc_auc']} and PR-AUC {printed['pr_auc']}" in note
    assert f"- musicnn: {note}\n" in (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")
    row = prepare([], ROOT).splitlines()[2]
    assert [cell.strip() for cell in row.split("|")][1:6] == ["musicnn-mtt", "MagnaTagATune", "50", "0.9067", "0.3831"]
