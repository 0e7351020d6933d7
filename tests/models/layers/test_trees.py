"""Trees as tensors: every input finds its leaf, and trees of any number and size are loaded."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from earmark.models.layers.trees import Trees


def tree(*nodes):
    """A tree of nodes (feature, threshold, left, right, missing_left), or values of leaves."""
    rows = [(*node, 0.0, False) if isinstance(node, tuple) else (0, 0.0, 0, 0, False, node, True) for node in nodes]
    names = ("feature", "threshold", "left", "right", "missing_left", "value", "leaf")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))


# x[1] <= 0.5 ? 1 : (x[0] <= -1 ? 2 : 4), of which the second question sends a missing value to the left
DEEP = tree((1, 0.5, 1, 2, False), 1.0, (0, -1.0, 3, 4, True), 2.0, 4.0)
STUMP = tree((0, 0.0, 1, 2, True), 10.0, 20.0)
LEAF = tree(100.0)


def planted() -> Trees:
    trees = Trees(3)
    trees.plant([[DEEP, STUMP], [LEAF, DEEP], [STUMP, LEAF]])
    return trees


def test_every_input_finds_its_leaf_in_every_tree():
    inputs = torch.tensor([[0.0, 0.5], [1.0, 0.6], [-1.0, 1.0]])
    expected = [
        [[1, 10], [100, 1], [10, 100]],
        [[4, 20], [100, 4], [20, 100]],
        [[2, 10], [100, 2], [10, 100]],
    ]
    torch.testing.assert_close(planted().each(inputs), torch.tensor(expected, dtype=torch.float32))
    torch.testing.assert_close(planted()(inputs), torch.tensor(expected, dtype=torch.float32).sum(dim=2))


def test_a_missing_value_goes_where_its_node_says():
    found = planted().each(torch.tensor([[math.nan, math.nan]]))[0]
    assert found.tolist() == [[2.0, 10.0], [100.0, 2.0], [10.0, 100.0]]


@pytest.mark.parametrize("value", [1.0, 1.0000001, -3.1415927, 1e-45, -0.0])
def test_a_threshold_between_two_neighbours_of_float32_parts_them(value):
    """Rounded to the nearest, it would become one of the two, and at times the upper one."""
    lower = np.float32(value)
    upper = np.nextafter(lower, np.float32(np.inf))
    for share in (0.0, 0.25, 0.5, 0.75):
        threshold = float(lower) + share * (float(upper) - float(lower))
        trees = Trees(1)
        trees.plant([[tree((0, threshold, 1, 2, False), 1.0, 2.0)]])
        assert trees(torch.tensor([[lower], [upper]])).flatten().tolist() == [1.0, 2.0]


def test_without_trees_the_sums_are_zero():
    assert Trees(3)(torch.randn(4, 2)).tolist() == [[0.0] * 3] * 4


def test_other_trees_take_the_place_of_those_that_were_there():
    trees = planted()
    trees.plant([[LEAF], [LEAF], [DEEP]])
    assert trees(torch.tensor([[0.0, 0.0]])).tolist() == [[100.0, 100.0, 1.0]]


def test_a_state_is_loaded_whatever_the_number_of_trees():
    inputs = torch.randn(20, 2)
    for fresh in (Trees(3), planted()):
        fresh.load_state_dict(planted().state_dict())
        assert torch.equal(fresh(inputs), planted()(inputs))
    emptied = planted()
    emptied.load_state_dict(Trees(3).state_dict())
    assert not emptied(inputs).any()


def test_the_trees_of_more_outputs_do_not_fit():
    with pytest.raises(RuntimeError, match="size mismatch for roots"):
        Trees(2).load_state_dict(planted().state_dict())
