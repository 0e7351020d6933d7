"""The demo corpus is read where it was rendered, and told to be rendered where it was not."""

from __future__ import annotations

import pytest

from earmark.config import CorpusConfig
from earmark.corpus.kinds import demo, magnatagatune
from earmark.corpus.manifest import CorpusError


def config(audio, annotations):
    settings = {"clips": 400, "seed": 1}
    return CorpusConfig(kind="demo", audio=audio, annotations=annotations, demo=settings)


def test_it_is_read_as_magnatagatune_is(make_corpus):
    corpus = make_corpus()
    clips, table = demo.corpus(config(*corpus))
    expected, tags = magnatagatune.read(*corpus)
    assert clips == expected
    assert table.tags == tags.tags


def test_one_that_was_not_rendered_names_the_command(tmp_path):
    with pytest.raises(CorpusError, match=r"corpus\.audio: .*/none does not exist; `dvc repro demo` renders the demo"):
        demo.corpus(config(tmp_path / "none", tmp_path / "x"))
