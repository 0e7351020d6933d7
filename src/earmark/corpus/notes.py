"""Remarks about a corpus while it is read: counted, with an example, and no errors.

A kind of corpus calls ``note``. The stage prints the remarks; ``earmark corpus check`` collects them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_collecting: ContextVar[list[str] | None] = ContextVar("collecting", default=None)


def note(text: str) -> None:
    """Tell a remark: on standard error, unless somebody collects them."""
    found = _collecting.get()
    if found is None:
        print(text, file=sys.stderr)
    else:
        found.append(text)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Yield a list that receives the remarks of the block, of which nothing is printed."""
    found: list[str] = []
    token = _collecting.set(found)
    try:
        yield found
    finally:
        _collecting.reset(token)


def examples(names: Sequence[str], shown: int = 3) -> str:
    """Return the first few names, quoted, and how many more there are.

    >>> examples(["a", "b", "c", "d"], shown=2)
    "'a', 'b' and 2 more"
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more
