"""The floor that every network must beat: logistic regression on the mean and the deviation of features over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from earmark import progress
from earmark.models.layers.options import positive, require_at_least
from earmark.models.layers.probes import frequency_logit, mean_and_deviation
from earmark.models.networks import Measure

Array = NDArray[np.float64]


class LinearProbe(nn.Module):
    """Mean and standard deviation over time, standardised, and a linear layer with one logit per tag.

    It fits itself with scikit-learn and not by gradient steps, but is saved and scored like any network.

    strengths: the values of scikit-learn's C, the inverse of the L2 penalty, of which the best is chosen.

    Raises ValueError if an option is out of its limits, or a frame has no value.
    """

    mean: Tensor
    inverse_std: Tensor

    def __init__(
        self,
        n_tags: int,
        frames: int,  # noqa: ARG002 - any number of frames is pooled
        dims: int,
        *,
        strengths: Sequence[float] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0),
    ) -> None:
        super().__init__()
        require_at_least("dims", dims, 1, "a frame has no value")
        self.strengths = positive("strengths", strengths)
        self.register_buffer("mean", torch.zeros(2 * dims))
        self.register_buffer("inverse_std", torch.ones(2 * dims))
        self.linear = nn.Linear(2 * dims, n_tags)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (batch, n_tags) of features (batch, frames, dims)."""
        return self.linear((mean_and_deviation(features) - self.mean) * self.inverse_std)

    @torch.no_grad()
    def fit(
        self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], measure: Measure
    ) -> list[tuple[float, float]]:
        """Fit all tags, with the one penalty that is best on ``valid``; return the (C, measure) pairs tried.

        train, valid: features (clips, frames, dims) and targets (clips, tags). measure: of scores and targets, higher
        is better. A tag that lacks a class in ``train`` gets its frequency as a constant probability, clipped to 1e-6.
        """
        pooled = mean_and_deviation(train[0])
        self.mean.copy_(pooled.mean(dim=0))
        std = pooled.std(dim=0, unbiased=False)
        self.inverse_std.copy_(torch.where(std > 0, 1 / std, 0.0))
        inputs = ((pooled - self.mean) * self.inverse_std).double()
        # An L2 penalty does not change under rotation: in a basis of the clips' span the optimum has fewer unknowns.
        _, _, basis = torch.linalg.svd(inputs, full_matrices=False)
        rotated = (inputs @ basis.T).numpy()
        targets, valid_targets = train[1].numpy(), valid[1].numpy()
        tried: list[tuple[float, float]] = []
        best: tuple[Array, Array] | None = None
        for strength in progress.counted(self.strengths, "linear", "penalty"):
            with threadpool_limits(1 if rotated.size < 1e7 else None):  # small products are slower on many threads
                weights, biases = _fit_tags(rotated, targets, strength)
            weights = weights @ basis.numpy()
            self._set(weights, biases)
            found = measure(self(valid[0]).double().numpy(), valid_targets)
            if best is None or found > max(value for _, value in tried):
                best = weights, biases
            tried.append((strength, found))
        if best is not None:
            self._set(*best)
        return tried

    def _set(self, weights: Array, biases: Array) -> None:
        self.linear.weight.copy_(torch.from_numpy(weights))
        self.linear.bias.copy_(torch.from_numpy(biases))


def _fit_tags(inputs: Array, targets: NDArray[np.float32], strength: float) -> tuple[Array, Array]:
    """Return weights (tags, inputs) and biases (tags,) at one penalty."""
    frequencies = targets.mean(axis=0)
    weights = np.zeros((targets.shape[1], inputs.shape[1]))
    biases = np.zeros(targets.shape[1])
    for tag in range(targets.shape[1]):
        if 0 < frequencies[tag] < 1:
            model = LogisticRegression(C=strength, max_iter=1000)
            model.fit(inputs, targets[:, tag])
            weights[tag], biases[tag] = model.coef_[0], model.intercept_[0]
        else:
            biases[tag] = frequency_logit(frequencies[tag])
    return weights, biases


build = LinearProbe
