"""Errors that a user can mend, and how a command ends on one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class EarmarkError(ValueError):
    """Something the user can mend: the text names the file or key, the limit, the value and the likely cause."""


@contextmanager
def explained() -> Iterator[None]:
    """End the process with exit code 1 and the error's text, without a traceback, where the user can mend it."""
    try:
        yield
    except EarmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
