"""What is added to a YAML text changes nothing else in it, however it is written."""

from __future__ import annotations

import pytest
import yaml

from earmark.yaml_edit import added, flow, line, replaced

TEXTS = {
    "block": "a: # first\n  x: {n: 1} # one\n  # a remark\n\nb: {y: 2}\n",
    "block with four spaces": "a:\n    x:\n        n: 1 # deep\n\n    # a remark\nb: {y: 2}\n",
    "empty": "a: {} # none yet\n  # x: {n: 1}\nb: {y: 2}\n",
    "empty in a line of its own": "a:\n  {}\nb: {y: 2}\n",
    "flow": "a: {x: {n: 1}} # in one line\nb: {y: 2}\n",
    "flow over lines, with a last comma": "a: {x: {n: 1}, # one\n    z: [1, 2], } # end\nb: {y: 2}\n",
    "flow at the end of a block": "a:\n  x:\n    {n: 1,\n     m: 2} # both\nb: {y: 2}\n",
    "literal text": "a:\n  x: |\n    # no remark\n    text\n\n# a remark\nb: {y: 2}\n",
    "alias": "a:\n  x: &one {n: 1}\n  z: *one\nb: {y: 2}\n",
    "no newline at the end": "b: {y: 2}\na:\n  x: {n: 1} # last",
    "carriage returns": "a:\r\n  x: {n: 1} # one\r\n\r\nb: {y: 2}\r\n",
    "a section that is not there": "b: {y: 2}\n",
    "a section that is not there, no newline": "b: {y: 2}",
    "nothing but a mark": "\ufeffa: {x: {n: 1}}\nb: {y: 2}\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_entry_is_added_and_every_line_but_its_own_stays(text):
    new = added(text, "a", "k", {"rate": 1e-5, "tags": ["yes", "new age"]})
    before, after = yaml.safe_load(text), yaml.safe_load(new)
    assert after == before | {"a": (before.get("a") or {}) | {"k": {"rate": 1e-5, "tags": ["yes", "new age"]}}}
    kept = [one for one in new.splitlines() if "k: {" not in one]
    changed = [one for one in text.splitlines() if one not in kept]
    assert all("{}" in one or "{x:" in one or "z: [1, 2]" in one for one in changed), "only brackets open or close"
    assert [one for one in text.splitlines() if one not in changed] == [one for one in kept if one in text.splitlines()]
    assert ("\r" in new) == ("\r" in text)
    assert new.count("\n") == new.count("\r\n") or "\r" not in text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_entries_are_added_one_after_another_in_their_order(text):
    new = added(added(text, "a", "first", {"n": 1}), "a", "16000", {"n": 2})
    assert list(yaml.safe_load(new)["a"])[-2:] == ["first", "16000"]


def test_a_remark_on_what_may_stand_in_an_empty_section_stays_with_it():
    text = added("a: {} # such as\n  # x: {n: 1}\n", "a", "k", {"n": 2})
    assert text == "a: # such as\n  k: {n: 2}\n  # x: {n: 1}\n"


@pytest.mark.parametrize("key", ["16000", '"16000"', "16_000"])
def test_a_value_is_replaced_whatever_the_writing_of_its_key(key):
    text = f"a:\n  {key}: {{n: 1, m: 5}} # in Hz\n  8000: {{n: 1}}\n"
    assert replaced(text, "a", "16000", "n", 2) == text.replace("n: 1, ", "n: 2, ")


def test_a_value_that_is_not_written_there_is_no_place_to_replace():
    with pytest.raises(KeyError):
        replaced("a: &a\n  x: {n: 1}\nb:\n  <<: *a\n", "b", "x", "n", 2)


@pytest.mark.parametrize("value", [1e-5, 1e-7, 0.1, 100.0, 1e22, 5])
def test_numbers_are_read_alike_by_yaml_1_1_and_1_2(value):
    from ruamel.yaml import YAML

    text = line("x", {"n": value})
    assert yaml.safe_load(text)["x"]["n"] == YAML(typ="safe").load(text)["x"]["n"] == value


def test_whatever_is_written_in_one_line_is_read_as_it_was():
    values = {"a": "yes", "b": "1e5", "c": None, "d": [[4, 2], []], "e": "a: b # c", "f": "ö" * 300, "g": True, "h": {}}
    assert "\n" not in flow(values)
    assert yaml.safe_load(flow(values)) == values
