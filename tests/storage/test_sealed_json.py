"""JSON with a checksum: what was written comes back, and a change of any character is noticed or changes nothing."""

from __future__ import annotations

import pytest

from earmark.storage.sealed_json import sealed, unsealed

CONTENT = {"shards": {"a": {"rows": 12, "share": 0.1, "rejected": [["1", "ä/1.mp3", "too short"]]}}, "code": "f00"}


def test_what_was_written_comes_back_whatever_the_order_of_its_keys():
    assert unsealed(sealed(CONTENT)) == CONTENT
    assert sealed(dict(reversed(CONTENT.items()))) == sealed(CONTENT)


def test_no_character_becomes_another_in_silence():
    text = sealed(CONTENT)
    refused = 0
    for place in range(len(text)):
        for other in ("x", "7", '"', " ", "}"):
            try:
                assert unsealed(text[:place] + other + text[place + 1 :]) == CONTENT
            except ValueError:
                refused += 1
    assert refused > 3 * len(text)


@pytest.mark.parametrize("text", ["[]", '{"code": "f00"}', "3", '"sha256"'])
def test_something_else_is_refused(text):
    with pytest.raises(ValueError, match="no checksum"):
        unsealed(text)


def test_brackets_that_are_nested_too_deep_are_refused():
    with pytest.raises(ValueError, match="nested too deep"):
        unsealed("[" * 100_000)
