"""The scattering transform: read `plan`, `filters`, `layers`, `transform`, in this order."""

from earmark.representations.scattering.transform import build

__all__ = ["build"]
