"""A network, a representation or a kind of corpus of one's own, in a file outside of the package."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path

import pytest

from earmark.storage import provenance

Write = Callable[..., Path]


@pytest.fixture
def write_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes a file as if it lay in a folder of the package; it returns its path."""
    written: list[str] = []
    own: dict[str, set[str]] = {}
    plugins = provenance.plugins
    monkeypatch.setattr(provenance, "plugins", lambda folder: sorted({*plugins(folder), *own.get(folder, ())}))

    def write(text: str, name: str = "mine", folder: str = "models") -> Path:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        package = import_module(f"earmark.{folder}")
        if str(place) not in package.__path__:
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
        own.setdefault(folder, set()).add(name)
        written.append(f"earmark.{folder}.{name}")
        sys.modules.pop(written[-1], None)
        (place / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
        invalidate_caches()
        return place / f"{name}.py"

    yield write
    for name in written:
        sys.modules.pop(name, None)
