"""Layers that are worth a look: none that is too wide, and not too many."""

from __future__ import annotations

from earmark.encoders import choice


def test_of_many_layers_there_are_24_evenly_spaced_ones_and_the_outputs():
    shapes = {f"layer{i}": (1, 10) for i in range(100)} | {"logits": (1, 3)}
    found = choice.chosen(shapes, ["logits"])
    names = list(found.shapes)
    assert len(names) == choice.MOST + 1
    assert names[0] == "layer0"
    assert names[-2:] == ["layer99", "logits"]
    assert found.note == "76 of 100 that lie between those above"


def test_an_output_stays_however_wide_it_is_and_nothing_is_said_if_all_are_there():
    shapes = {"a": (5, choice.LARGEST), "out": (1, 10 * choice.LARGEST)}
    assert choice.chosen(shapes, ["out"]) == choice.Layers(shapes)
    assert choice.chosen(shapes).note == f"more than 4096 dims: out ({10 * choice.LARGEST})"
    assert choice.chosen({}) == choice.Layers({})
