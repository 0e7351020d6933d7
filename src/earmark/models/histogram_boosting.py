"""A second floor beside ``linear``: gradient-boosted trees on the mean and the deviation of features over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from earmark import progress
from earmark.models.layers.options import is_at_least_zero, is_positive, require, require_at_least, require_counts
from earmark.models.layers.probes import frequency_logit, mean_and_deviation
from earmark.models.layers.trees import Nodes, Trees
from earmark.models.networks import Measure

_ZERO_LEAF: Nodes = {
    "feature": np.zeros(1), "threshold": np.zeros(1), "left": np.zeros(1), "right": np.zeros(1), "value": np.zeros(1),
    "missing_left": np.zeros(1), "leaf": np.ones(1),
}  # fmt: skip


class HistogramBoosting(nn.Module):
    """Mean and standard deviation over time, and scikit-learn's HistGradientBoostingClassifier for each tag.

    It fits itself and not by gradient steps, but is saved and scored like any network: the trees are tensors. Other
    than ``linear`` it finds thresholds, and dims that count only together.

    learning_rate: the factor of each tree's values. iterations: trees per tag at most. leaves: of a tree, at most.
    min_samples_leaf: training clips in a leaf, at least. l2: the penalty of the leaves' values. bins: between how many
    groups of clips a threshold may lie, per dim; 64 take a third of the time that scikit-learn's 255 take.

    Raises ValueError if an option is out of its limits, or a frame has no value.
    """

    baseline: Tensor

    def __init__(
        self,
        n_tags: int,
        frames: int,  # noqa: ARG002 - any number of frames is pooled
        dims: int,
        *,
        learning_rate: float = 0.1,
        iterations: int = 100,
        leaves: int = 31,
        min_samples_leaf: int = 20,
        l2: float = 0.0,
        bins: int = 64,
    ) -> None:
        super().__init__()
        require_at_least("dims", dims, 1, "a frame has no value")
        require(is_positive(learning_rate), "learning_rate", "be above 0", learning_rate)
        require_counts(iterations=iterations, min_samples_leaf=min_samples_leaf)
        require_at_least("leaves", leaves, 2)
        require(is_at_least_zero(l2), "l2", "be at least 0", l2)
        require_at_least("bins", bins, 2)
        require(bins <= 255, "bins", "be at most 255", bins)
        self.iterations = iterations
        self.settings = {
            "learning_rate": learning_rate, "max_iter": iterations, "max_leaf_nodes": leaves,
            "min_samples_leaf": min_samples_leaf, "l2_regularization": l2, "max_bins": bins,
        }  # fmt: skip
        self.register_buffer("baseline", torch.zeros(n_tags))
        self.trees = Trees(n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        return self.baseline + self.trees(mean_and_deviation(features))

    @torch.no_grad()
    def fit(
        self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], measure: Measure
    ) -> list[tuple[float, float]]:
        """Fit all tags, with the one number of trees that is best on ``valid``; return (trees, measure) pairs.

        train, valid: features (clips, frames, dims) and targets (clips, tags). measure: of scores and targets, higher
        is better. A tag that lacks a class in ``train`` gets its frequency as a constant probability, clipped to 1e-6.
        """
        inputs, targets = mean_and_deviation(train[0]).numpy(), train[1].numpy()
        with threadpool_limits(1 if inputs.size < 1e6 else None):  # few clips are slower on many threads
            columns = progress.counted([*targets.T], "histogram_boosting", "tag")
            baseline, trees = zip(*(self._boosted(inputs, column) for column in columns), strict=True)
        self.baseline.copy_(torch.tensor(baseline))
        self.trees.plant(trees)
        heard = mean_and_deviation(valid[0])
        parts = [heard[start : start + 64] for start in range(0, len(heard), 64)]  # clips at a time: trees are many
        staged = self.baseline[:, None] + torch.cat([self.trees.each(part).cumsum(dim=2) for part in parts])
        valid_targets = valid[1].numpy()
        tried = [
            (float(number), measure(staged[:, :, number - 1].double().numpy(), valid_targets))
            for number in range(1, self.iterations + 1)
        ]
        best = 1 + int(np.argmax([found for _, found in tried]))
        self.trees.plant([of_tag[:best] for of_tag in trees])
        return tried

    def _boosted(self, inputs: NDArray[np.float32], targets: NDArray[np.float32]) -> tuple[float, list[Nodes]]:
        """Return the baseline and the trees of a tag."""
        frequency = float(targets.mean())
        if not 0 < frequency < 1:
            return frequency_logit(frequency), [_ZERO_LEAF] * self.iterations
        model = HistGradientBoostingClassifier(**self.settings, early_stopping=False, random_state=0)
        model.fit(inputs, targets)
        # scikit-learn has no public way to the trees; a test holds the scores to its own.
        trees = [_nodes(predictor.nodes) for (predictor,) in model._predictors]
        return float(model._baseline_prediction.item()), trees


def _nodes(of_tree: NDArray[Any]) -> Nodes:
    """Return a tree of scikit-learn by the names that ``Trees`` has for what it is made of."""
    same = {name: of_tree[name] for name in ("left", "right", "value")}
    return {
        "feature": of_tree["feature_idx"], "threshold": of_tree["num_threshold"],
        "missing_left": of_tree["missing_go_to_left"], "leaf": of_tree["is_leaf"], **same,
    }  # fmt: skip


build = HistogramBoosting
