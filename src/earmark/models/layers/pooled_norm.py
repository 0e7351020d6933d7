"""The norm of pooled features that probes with gradient share; apart from ``probes``, which ``linear`` depends on."""

from __future__ import annotations

from torch import nn


def pooled_norm(width: int) -> nn.Module:
    """Return a batch norm of pooled features (batch, width); it has no weights, since a linear layer follows."""
    return nn.BatchNorm1d(width, affine=False)
