"""JSON that carries its own checksum, as ``sealed_csv`` does for tables: the key ``sha256`` at its top."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_KEY = "sha256"


def sealed(content: dict[str, Any]) -> str:
    """Return JSON, sorted and indented, with the checksum of all else in it."""
    return json.dumps(content | {_KEY: _digest(content)}, indent=1, sort_keys=True) + "\n"


def unsealed(text: str | bytes) -> dict[str, Any]:
    """Return what was given to ``sealed``. Raises ValueError if it is something else, or is not what was written.

    >>> unsealed(sealed({"clips": 3}).replace("3", "4", 1))
    Traceback (most recent call last):
        ...
    ValueError: its checksum is wrong: it is damaged, or was edited by hand
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or _KEY not in content:
            raise ValueError("it has no checksum: an earlier version wrote it, or it is something else")
        if content.pop(_KEY) != _digest(content):
            raise ValueError("its checksum is wrong: it is damaged, or was edited by hand")
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
