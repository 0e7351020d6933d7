"""Numbers from outside the settings: ``EARMARK_*`` variables and options of the command line."""

from __future__ import annotations

import argparse
import math
import os

from earmark.errors import EarmarkError


def count(variable: str, default: int) -> int:
    """Return a whole number of at least 1 from an environment variable; ``default`` if it is not set, or empty."""
    value = os.environ.get(variable) or str(default)
    if not (value.isascii() and value.isdecimal() and int(value) >= 1):
        raise EarmarkError(f"{variable} must be a whole number of at least 1, got {value!r}")
    return int(value)


def whole(text: str) -> int:
    """Return the ``type`` of an option that counts something: a whole number of at least 1."""
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def positive(text: str) -> float:
    """Return the ``type`` of an option that measures something: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value
