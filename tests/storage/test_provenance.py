"""What belongs to a digest: imports of every form, and files that code reads."""

from __future__ import annotations

import ast
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from earmark.storage import provenance, source


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An empty package in the place of this one; ``package(name=text)`` writes modules and returns the digest."""
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "earmark")
    monkeypatch.setattr(provenance, "CONSUMERS", {"use": ("a",), "train": ("a", "models.*")})
    monkeypatch.setattr(provenance, "NEUTRAL", {"quiet": "says nothing that a result could see"})

    def forget() -> None:
        for cached in (provenance.digest, provenance.direct_imports, provenance.source_digest, source.strings):
            cached.cache_clear()

    def write(consumer: str = "use", **modules: str) -> str:
        for name, text in {"__init__": "", "a": "x = 1\n", **modules}.items():
            path = tmp_path / "earmark" / (name.replace("__in__", "/") + ("" if "." in name else ".py"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        forget()
        return provenance.digest(consumer)

    yield write
    forget()


FORMS = [
    "from earmark import b\n",
    "import earmark.b\n",
    "import earmark.b as b\n",
    "from earmark.b import y\n",
    "from . import b\n",
    "from .b import y\n",
    "def f():\n    from earmark import b\n    return b\n",
    "if x:\n    from earmark.b import y\n",
    "from importlib import import_module\nb = import_module('earmark.b')\n",
]


@pytest.mark.parametrize("form", FORMS)
def test_an_import_of_any_form_is_followed(package, form):
    first = package(a=form, b="y = 1\n")
    assert package(a=form, b="y = 2\n") != first
    assert package(a=form, b="y = 1\n") == first


def test_imports_of_imports_and_of_folders_are_followed(package):
    modules = {"a": "from earmark.folder import b\n", "folder__in____init__": "", "c": "z = 1\n"}
    first = package(
        **modules, folder__in__b="from earmark.folder.d import w\n", folder__in__d="from ..c import z\nw = z\n"
    )
    assert first != package(**(modules | {"c": "z = 2\n"}))


def test_a_packages_own_name_counts_and_one_that_leads_to_a_module_does_not(package):
    inner = {"folder__in__b": "y = 1\n"}
    leads = {"a": "from earmark.folder import b\n", **inner}
    assert package(**leads, folder__in____init__="") == package(**leads, folder__in____init__="v = 1\n")
    own = {"a": "from earmark.folder import v\n", **inner}
    assert package(**own, folder__in____init__="v = 1\n") != package(**own, folder__in____init__="v = 2\n")


def test_what_is_not_imported_and_what_is_neutral_does_not_count(package):
    a = "from earmark import quiet\n"
    first = package(a=a, quiet="from earmark import c\n", c="z = 1\n")
    assert package(a=a, quiet="from earmark import c\nv = 2\n", c="z = 2\n") == first


def test_a_file_that_code_names_counts(package):
    code = {"a": "TABLE = 'words.txt'\n"}
    first = package(**code, **{"words.txt": "one\n", "others.txt": "one\n"})
    assert package(**code, **{"words.txt": "one\r\n"}) == first
    assert package(**code, **{"others.txt": "two\n"}) == first
    assert package(**code, **{"words.txt": "two\n"}) != first


def test_a_moved_module_counts(package):
    first = package(a="from earmark import b\n", b="y = 1\n")
    assert package(a="from earmark import c as b\n", c="y = 1\n") != first


def test_one_familys_network_counts_for_that_family_alone(package):
    build = "def build():\n    return {}\n"
    names = {"models__in__one": build.format(1), "models__in__two": build.format(2), "models__in____init__": ""}
    first = {item: package(item, **names) for item in ("train-one", "train-two")}
    names["models__in__one"] = build.format(3)
    assert package("train-one", **names) != first["train-one"]
    assert package("train-two", **names) == first["train-two"]
    assert provenance.consumers() == ["use", "train-one", "train-two"]


@pytest.mark.parametrize("name", ["training", "train", "train-nosuch", "decode-mel", "features-base"])
def test_a_consumer_that_is_not_there_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"no code is known for {name!r}: it must be one of demo, corpus")):
        provenance.digest(name)


def test_the_digest_of_shards_covers_what_rounds_and_what_scales():
    decoding = {"decode/corpus.py", "decode/audio.py", "storage/shards.py", "storage/checksums.py"}
    assert decoding <= set(provenance.sources("decode"))
    extraction = {"features/extract.py", "storage/float16.py", "storage/shards.py", "representations/mel.py"}
    assert extraction <= set(provenance.sources("features-mel"))


def test_a_fingerprint_ignores_the_order_of_keys_and_sees_every_value():
    assert provenance.fingerprint(a=1, b=[2]) == provenance.fingerprint(b=[2], a=1)
    assert provenance.fingerprint(a=1, b=[2]) != provenance.fingerprint(a=1, b=[3])


def test_makers_are_versions_and_what_else_is_said():
    found = provenance.makers("numpy", device="cpu")
    assert found["device"] == "cpu"
    assert re.fullmatch(r"\d+\.\d+.*", found["numpy"])


def test_threads_that_ask_at_once_parse_one_after_the_other(monkeypatch):
    """Python 3.11's parser may end with a SystemError where two threads make syntax trees at the same time."""
    expected, parse, inside, most = provenance.digest("labels"), ast.parse, [], []

    def watched(*arguments, **options):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.001)  # lets the other threads in
        inside.pop()
        return parse(*arguments, **options)

    monkeypatch.setattr(source.ast, "parse", watched)
    for cached in (provenance.digest, provenance.direct_imports, provenance.source_digest, source.strings):
        cached.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: provenance.digest("labels"), range(4))) == {expected}
    assert max(most) == 1
