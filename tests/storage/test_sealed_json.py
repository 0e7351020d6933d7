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
    for place, character in enumerate(text):
        for other in ("x", "7", '"', " ", "}"):
            changed = text[:place] + other + text[place + 1 :]
            try:
                found = unsealed(changed)
            except ValueError:
                refused += 1
                continue
            # without its name the checksum is a key that nobody knows
            assert {key: value for key, value in found.items() if key in CONTENT} == CONTENT, (place, character, other)
            assert found == CONTENT or set(found) - set(CONTENT)
    assert refused > 4 * 0.7 * len(text)


def test_what_an_earlier_version_wrote_is_read():
    assert unsealed('{"code": "f00"}') == {"code": "f00"}


def test_something_else_is_refused():
    with pytest.raises(ValueError, match="object is expected, got list"):
        unsealed("[]")
