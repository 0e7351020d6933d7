"""The examples in docstrings run, and show what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from earmark.storage import provenance

FILES = [file for file in sorted(provenance.PACKAGE.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]


def name(file: object) -> str:
    parts = file.relative_to(provenance.PACKAGE.parent).with_suffix("").parts  # type: ignore[attr-defined]
    return ".".join(parts).removesuffix(".__init__")


def examples(module: str) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(import_module(module)) if test.examples]


@pytest.mark.parametrize("module", [name(file) for file in FILES])
def test_the_examples_of_a_module_run(module):
    found = examples(module)
    assert found
    runner = doctest.DocTestRunner(verbose=False)
    for test in found:
        runner.run(test)
    assert not runner.summarize(verbose=False).failed


def test_there_are_ten_of_them_or_more():
    assert sum(len(examples(name(file))) for file in FILES) >= 10
