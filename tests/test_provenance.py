from __future__ import annotations

import ast
import time
from concurrent.futures import ThreadPoolExecutor

from earmark import provenance


def test_imports_inside_functions_and_of_names_in_a_package_are_found():
    found = {p.name for p in provenance.direct_imports(provenance.PACKAGE / "extract.py")}
    assert {"progress.py", "provenance.py", "shards.py", "errors.py"} <= found
    assert "decode.py" in {p.name for p in provenance.direct_imports(provenance.PACKAGE / "cli.py")}


def test_the_closure_follows_imports_of_imports():
    names = {p.name for p in provenance.closure([provenance.PACKAGE / "standardize.py"])}
    assert {"standardize.py", "shards.py", "halves.py", "errors.py", "manifest.py", "progress.py"} == names


def test_the_code_version_depends_on_all_that_is_imported_and_on_nothing_else(tmp_path, monkeypatch):
    package = tmp_path / "earmark"
    package.mkdir()
    for name, text in {"a": "from earmark import b", "b": "x = 1", "c": "y = 1"}.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", package)

    def version():
        provenance.code_version.cache_clear()
        return provenance.code_version("earmark.a")

    try:
        first = version()
        (package / "c.py").write_text("y = 2")
        assert version() == first
        (package / "b.py").write_text("x = 2")
        assert version() != first
    finally:
        provenance.code_version.cache_clear()


def test_a_fingerprint_ignores_the_order_of_keys_and_sees_every_value():
    assert provenance.fingerprint(a=1, b=[2]) == provenance.fingerprint(b=[2], a=1)
    assert provenance.fingerprint(a=1, b=[2]) != provenance.fingerprint(a=1, b=[3])


def test_threads_that_ask_at_once_parse_one_after_the_other(monkeypatch):
    """Python 3.11's parser may end with a SystemError where two threads make syntax trees at the same time."""
    expected, parse, inside, most = provenance.digest("labels"), ast.parse, [], []

    def watched(*arguments, **options):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.001)  # lets the other threads in
        inside.pop()
        return parse(*arguments, **options)

    monkeypatch.setattr(provenance.ast, "parse", watched)
    for cached in (provenance.digest, provenance.direct_imports, provenance.source_digest, provenance._strings):
        cached.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: provenance.digest("labels"), range(4))) == {expected}
    assert max(most) == 1
