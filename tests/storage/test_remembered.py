"""A digest is remembered as long as no byte of the package has changed, and not a moment longer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from earmark.storage import provenance, remembered

LINES = """
import earmark.storage.remembered as r, earmark.storage.provenance as p
made = []
honest = p.digest
p.digest = lambda consumer: made.append(consumer) or honest(consumer)
print(r.digest("features-mel"), len(made))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, which a test may edit."""
    kept = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/earmark", tmp_path / "src/earmark", ignore=kept)
    return tmp_path / "src"


def asked(package: Path, cache: Path) -> tuple[str, bool]:
    """The digest that a new process finds, and whether it had to be made."""
    environment = {"PYTHONPATH": str(package), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", LINES], env=environment, capture_output=True, text=True, check=True)
    value, made = done.stdout.split()
    return value, made == "1"


def test_the_second_process_reads_it_and_an_edit_makes_it_again(package, tmp_path):
    cache = tmp_path / "cache"
    first = asked(package, cache)
    assert first == (provenance.digest("features-mel"), True)
    assert asked(package, cache) == (first[0], False)
    mel = package / "earmark/representations/mel.py"
    mel.write_text(mel.read_text() + "\nADDED = 1\n")
    changed = asked(package, cache)
    assert changed[0] != first[0]
    assert changed[1]
    assert asked(package, cache) == (changed[0], False)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"state": "x"}', '{"state": null, "digests": []}'])
def test_a_file_that_is_something_else_is_not_believed(tmp_path, monkeypatch, content):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remembered._file().parent.mkdir(parents=True)
    remembered._file().write_text(content)
    assert remembered.digest("features-mel") == provenance.digest("features-mel")


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert remembered.digest("features-mel") == provenance.digest("features-mel")


def test_what_no_consumer_is_is_refused_as_ever(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="no code is known for 'features-nothing'"):
        remembered.digest("features-nothing")
