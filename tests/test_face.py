"""What a stranger sees first: version, licence, citation, changelog, how to contribute, and what checks a change."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT

import earmark
from earmark.storage import provenance

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.M)
# All keys that the Citation File Format 1.2.0 knows at the top, and those that it demands.
CFF_KEYS = {
    "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords",
    "license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact",
    "repository-code", "title", "type", "url", "version",
}  # fmt: skip
CFF_REQUIRED = {"authors", "cff-version", "message", "title"}


def parsed(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def releases() -> list[tuple[str, str]]:
    """(version, day) of every release in the changelog, the newest first."""
    return RELEASE.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_the_version_has_one_place_and_the_others_agree():
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert parsed("CITATION.cff")["version"] == releases()[0][0] == earmark.__version__


def test_importing_the_package_loads_the_standard_library_at_most():
    code = "import sys; before = set(sys.modules); import earmark; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {name.partition(".")[0] for name in loaded} <= {"earmark", *sys.stdlib_module_names}
    assert "importlib.metadata" not in loaded  # half of what an import may cost


def test_the_citation_is_valid():
    citation = parsed("CITATION.cff")
    assert set(citation) >= CFF_REQUIRED
    assert set(citation) <= CFF_KEYS
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    texts = [citation[key] for key in ("title", "message", "abstract", "version", "date-released")]
    assert all(isinstance(text, str) and text for text in [*texts, *citation["keywords"]])
    assert citation["date-released"] == releases()[0][1]


def test_the_changelog_keeps_its_form():
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    assert len(headings) == 1 + len(releases())
    kinds = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    days = [date.fromisoformat(day) for _, day in releases()]
    versions = [tuple(map(int, version.split("."))) for version, _ in releases()]
    assert days == sorted(days, reverse=True)
    assert versions == sorted(set(versions), reverse=True)


def test_the_licence_is_there_and_the_notice_speaks_of_every_golden_array():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License\n\nCopyright (c) 2026 the earmark authors\n")
    assert PROJECT["license"] == "MIT"
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    arrays = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/golden").glob("*.npz")]
    assert arrays
    assert not [path for path in arrays if path not in notice]
    named = re.findall(r"\b(?:src|tests)/[\w./]*\w", notice)
    assert not [path for path in named if not (ROOT / path).exists()]


def test_ci_runs_what_every_change_must_pass_on_the_pythons_that_are_promised():
    jobs = parsed(".github/workflows/ci.yml")["jobs"]
    job = jobs["run"]
    assert jobs["wheel"]["strategy"]["matrix"] == job["strategy"]["matrix"]
    pythons = job["strategy"]["matrix"]["python"]
    classifiers = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", c)]
    assert pythons == classifiers
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    assert "\nPYTHON ?= " in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_hooks_are_what_make_check_runs_and_fetch_nothing():
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert recipe
    assert [hook["entry"] for hook in repository["hooks"]] == recipe[1].replace("\t", "").splitlines()


def test_text_has_lf_endings_and_what_is_none_is_not_taken_for_text():
    asked = ["git", "ls-files", "--eol"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git repository here")
    rows = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert not [row for row in rows if row[0] in ("i/crlf", "i/mixed")]
    assert not [row for row in rows if row[0] == "i/-text" and row[2] != "attr/-text"]
    assert not [row for row in rows if row[0] == "i/lf" and row[2] != "attr/text=auto"]


def test_every_folder_of_the_package_has_its_line_in_contributing():
    table = CONTRIBUTING.partition("| in `src/earmark` | what |")[2].partition("\n\n")[0]
    named = re.findall(r"`([\w.]+)`", "\n".join(row.split("|")[1] for row in table.strip().splitlines()))
    there = {path.name for path in Path(earmark.__file__).parent.iterdir()}
    folders = {path.parent.name for path in Path(earmark.__file__).parent.glob("*/__init__.py")}
    assert not [name for name in named if name not in there]
    assert not folders - set(named)


def tree(folder: Path, depth: int, before: str = "") -> list[str]:
    """What `tree -L <depth>` prints of a folder, without what Python leaves there."""
    found = []
    there = sorted(path for path in folder.iterdir() if path.name not in ("__pycache__", "__init__.py", "py.typed"))
    for path in there:
        last = path == there[-1]
        found.append(f"{before}{'└── ' if last else '├── '}{path.name}")
        if path.is_dir() and depth > 1:
            found += tree(path, depth - 1, before + ("    " if last else "│   "))
    return found


def test_the_tree_in_contributing_is_that_of_the_package():
    (shown,) = re.findall(r"^```\nsrc/earmark\n(.*?)^```$", CONTRIBUTING, re.M | re.S)
    here = tree(Path(earmark.__file__).parent, 2)
    assert set(shown.splitlines()) <= set(here), "a line of the tree is no longer true"
    added = [line for line in here if line not in shown.splitlines()]
    own = {f"{name}.py" for folder in ("models", "representations") for name in provenance.plugins(folder)}
    assert not [line for line in added if line.split()[-1] not in own], (
        "all but what is found by its name is in the tree"
    )
