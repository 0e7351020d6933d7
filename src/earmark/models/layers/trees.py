"""Sums of decision trees as tensors, so that they are saved and run like the weights of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Nodes = Mapping[str, NDArray[Any]]  # of one tree: feature, threshold, left, right, value, missing_left, leaf

_TYPES = {
    "feature": torch.int32, "threshold": torch.float32, "left": torch.int32, "right": torch.int32,
    "value": torch.float32, "missing_left": torch.bool,
}  # fmt: skip


class Trees(nn.Module):
    """As many decision trees for each output, whose values are summed; at first there are none.

    All nodes of all trees stand one after another; ``roots`` (outputs, trees) says where each tree begins. At a node an
    input goes ``left`` if its ``feature`` is at most ``threshold``, or if that is NaN and ``missing_left`` is true,
    else ``right``. A leaf leads to itself, and has the ``value``. Node 0 is a leaf of value 0.
    """

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    missing_left: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("roots", torch.zeros(outputs, 0, dtype=torch.int32))
        for name, dtype in _TYPES.items():
            self.register_buffer(name, torch.zeros(1, dtype=dtype))

    def plant(self, trees: Sequence[Sequence[Nodes]]) -> None:
        """Put trees in the place of those that are there: for each output a list, all equally long.

        The children of a node count from the root of its tree, which is its first node.
        """
        flat = [tree for of_output in trees for tree in of_output]
        lengths = [1, *(len(tree["leaf"]) for tree in flat)]
        starts = np.cumsum([0, *lengths])[:-1]
        first, own = np.repeat(starts, lengths), np.arange(sum(lengths))
        nodes = {key: np.concatenate([np.zeros(1), *(tree[key] for tree in flat)]) for key in (*_TYPES, "leaf")}
        leaf = np.concatenate([[True], nodes["leaf"][1:] > 0])
        nodes["threshold"] = _float32_below(nodes["threshold"])
        for side in ("left", "right"):
            nodes[side] = np.where(leaf, own, nodes[side] + first)
        for name, dtype in _TYPES.items():
            setattr(self, name, torch.from_numpy(nodes[name]).to(self.roots.device, dtype))
        self.roots = torch.from_numpy(starts[1:].reshape(len(trees), -1)).to(self.roots)

    def each(self, inputs: Tensor) -> Tensor:
        """Return the value of every tree: (batch, inputs) -> (batch, outputs, trees).

        A graph that is traced goes down as far for all inputs; here it ends when all have come to a leaf.
        """
        node = self.roots.expand(inputs.shape[0], -1, -1)
        steps = self.depth() if torch.jit.is_tracing() else None  # type: ignore[attr-defined,no-untyped-call]
        while True:
            value = inputs.gather(1, self.feature[node].flatten(1).long()).view(node.shape)
            goes_left = (value <= self.threshold[node]) | (value.isnan() & self.missing_left[node])
            child = torch.where(goes_left, self.left[node], self.right[node])
            if steps == 0 or (steps is None and torch.equal(child, node)):
                return self.value[node]
            node, steps = child, None if steps is None else steps - 1

    def depth(self) -> int:
        """Return how many nodes lie between the root of the deepest tree and its lowest leaf."""
        left, right = self.left.numpy(), self.right.numpy()
        level, found = np.unique(self.roots.numpy()), 0
        while not np.array_equal(below := np.unique([left[level], right[level]]), level):
            level, found = below, found + 1
        return found

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sums of the trees' values: (batch, inputs) -> (batch, outputs)."""
        return self.each(inputs).sum(dim=2)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Load trees of any number and size: how many there are was decided when they were fitted."""
        for name in ("roots", *_TYPES):
            here, loaded = getattr(self, name), state_dict.get(prefix + name)
            if isinstance(loaded, Tensor) and loaded.dim() == here.dim() and loaded.shape[:-1] == here.shape[:-1]:
                setattr(self, name, here.new_zeros(loaded.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _float32_below(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value: float32 inputs compare with it as with the value."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)
