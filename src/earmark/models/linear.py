"""The floor that every network must beat: logistic regression on the time mean and deviation of a representation."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from earmark.models.networks import Measure

Array = NDArray[np.float64]

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)  # scikit-learn's C: inverse of the L2 penalty


class LinearProbe(nn.Module):
    """Standardised (mean, standard deviation) over time, then one linear layer: one logit per tag.

    It fits itself (``fit``) with scikit-learn instead of by gradient steps, and is saved and scored as any network.
    """

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, dims: int, n_tags: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * dims))
        self.register_buffer("inverse_std", torch.ones(2 * dims))
        self.linear = nn.Linear(2 * dims, n_tags)

    def pool(self, features: Tensor) -> Tensor:
        """(batch, frames, dims) -> (batch, 2 * dims): mean and standard deviation over the frames."""
        return torch.cat([features.mean(dim=1), features.std(dim=1, unbiased=False)], dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, dims) -> logits (batch, n_tags)."""
        return self.linear((self.pool(features) - self.mean) * self.inverse_std)

    @torch.no_grad()
    def fit(
        self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor], measure: Measure
    ) -> list[tuple[float, float]]:
        """Fit every tag; all tags share the penalty that ``measure`` finds best on ``valid``.

        train, valid: features (clips, frames, dims) and targets (clips, tags). Returns the (C, measure) pairs tried.
        A tag without both classes in training gets its (clamped) frequency as a constant.
        """
        pooled = self.pool(train[0])
        self.mean.copy_(pooled.mean(dim=0))
        std = pooled.std(dim=0, unbiased=False)
        self.inverse_std.copy_(torch.where(std > 0, 1 / std, 0.0))
        inputs = ((pooled - self.mean) * self.inverse_std).double()
        # An L2 penalty is blind to rotations: in the basis of the clips' own span the same optimum has fewer unknowns.
        _, _, basis = torch.linalg.svd(inputs, full_matrices=False)
        rotated = (inputs @ basis.T).numpy()
        targets, valid_targets = train[1].numpy(), valid[1].numpy()
        tried: list[tuple[float, float]] = []
        best: tuple[Array, Array] | None = None
        for strength in STRENGTHS:
            with threadpool_limits(1 if rotated.size < 1e7 else None):  # small products lose time to many threads
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
    """Weights (tags, inputs) and biases (tags,) at one penalty."""
    frequencies = targets.mean(axis=0)
    weights = np.zeros((targets.shape[1], inputs.shape[1]))
    biases = np.zeros(targets.shape[1])
    for tag in range(targets.shape[1]):
        if 0 < frequencies[tag] < 1:
            model = LogisticRegression(C=strength, max_iter=1000)
            model.fit(inputs, targets[:, tag])
            weights[tag], biases[tag] = model.coef_[0], model.intercept_[0]
        else:
            frequency = np.clip(frequencies[tag], 1e-6, 1 - 1e-6)
            biases[tag] = np.log(frequency / (1 - frequency))
    return weights, biases


def build(n_tags: int, frames: int, dims: int) -> LinearProbe:  # noqa: ARG001 - any number of frames is pooled
    """The probe for features of ``dims`` dimensions."""
    return LinearProbe(dims, n_tags)
