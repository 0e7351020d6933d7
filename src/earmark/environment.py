"""Numbers from outside the settings: ``EARMARK_*`` variables and options of the command line."""

from __future__ import annotations

import argparse
import math
import os
import re

from earmark.errors import VERBOSITY, EarmarkError

LEVELS = ("quiet", "verbose", "debug")


def verbosity() -> str:
    """Return how much is told: one of LEVELS by EARMARK_VERBOSITY, or nothing if it is not set.

    Raises EarmarkError for anything else.
    """
    value = os.environ.get(VERBOSITY, "")
    if value not in ("", *LEVELS):
        raise EarmarkError(f"{VERBOSITY} must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, got {value!r}")
    return value


def count(variable: str, default: int) -> int:
    """Return a whole number of at least 1 from an environment variable; ``default`` if it is not set, or empty."""
    value = os.environ.get(variable) or str(default)
    if not (value.isascii() and value.isdecimal() and int(value) >= 1):
        raise EarmarkError(f"{variable} must be a whole number of at least 1, got {value!r}")
    return int(value)


_UNITS = {"": 1} | {f"{prefix}B": 1000**n for n, prefix in enumerate("KMGT", 1)}
_UNITS |= {f"{prefix}IB": 1024**n for n, prefix in enumerate("KMGT", 1)}


def size_of(variable: str) -> int | None:
    """Return a number of bytes from an environment variable, such as ``24GB`` or ``512MiB``; None if it is not set.

    Raises EarmarkError if it is anything else.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", value, re.ASCII)
    size = float(parts[1]) * _UNITS.get(parts[2].upper(), 0) if parts else 0
    if not 1 <= size < 2**60:
        raise EarmarkError(f"{variable} must be a size in bytes, such as 24GB or 512MiB, got {value!r}")
    return int(size)


def whole(text: str) -> int:
    """Return the ``type`` of an option that counts something: a whole number of at least 1."""
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def share(text: str) -> float:
    """Return the ``type`` of an option that is a probability: a number in [0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1], got {text!r}")
    return value


def positive(text: str) -> float:
    """Return the ``type`` of an option that measures something: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return value
