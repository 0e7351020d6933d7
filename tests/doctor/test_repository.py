"""What the doctor says of git, of DVC's cache and of its remotes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from earmark.doctor import repository
from earmark.doctor.repository import Dvc


def run(folder, *words):
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path):
    run(tmp_path, "git", "init", "--quiet", "--initial-branch", "main")
    run(tmp_path, "git", "config", "user.email", "a@example.org")
    run(tmp_path, "git", "config", "user.name", "A")
    return tmp_path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A repository of git and DVC without anything."""
    folder = tmp_path_factory.mktemp("fresh")
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    return folder


@pytest.fixture
def dvc(fresh, tmp_path):
    return Path(shutil.copytree(fresh, tmp_path / "copy"))


def commit(folder, text):
    (folder / "dvc.lock").write_text(text)
    run(folder, "git", "add", "dvc.lock")
    run(folder, "git", "commit", "--quiet", "-m", text)


def test_the_branch_the_commit_and_what_is_changed_are_told(repo):
    commit(repo, "one")
    (repo / "new").write_text("")
    (line,) = repository.git(repo)
    assert line.state == "ok"
    assert line.text.startswith("main, ")
    assert line.text.endswith("; 1 files changed or new")


def test_a_conflict_stops_the_pipeline(repo):
    commit(repo, "base")
    run(repo, "git", "checkout", "--quiet", "-b", "other")
    commit(repo, "theirs")
    run(repo, "git", "checkout", "--quiet", "main")
    commit(repo, "ours")
    subprocess.run(["git", "merge", "other"], cwd=repo, check=False, capture_output=True)
    (line,) = repository.git(repo)
    assert line.state == "error"
    assert "in conflict: dvc.lock" in line.text


def test_a_clone_without_the_merge_drivers_is_told_how_to_name_them(repo):
    (repo / ".gitattributes").write_text("dvc.lock merge=earmark-lock\n")
    assert [line.mend for line in repository.git(repo)] == ["", "python -m earmark.merge install"]
    run(repo, "git", "config", "merge.earmark-lock.driver", "true")
    assert len(list(repository.git(repo))) == 1


def test_no_repository_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (line,) = repository.git(tmp_path)
    assert (line.state, line.mend) == ("warning", "git init")


@pytest.mark.parametrize(("types", "state", "words"), [("copy", "warning", "copied"), ("symlink", "ok", "by symlink")])
def test_how_the_cache_is_linked_is_tried(dvc, types, state, words):
    run(dvc, "dvc", "config", "cache.type", types)
    found = Dvc(dvc)
    (line,) = found.cache()
    assert line.state == state
    assert words in line.text
    assert not [path for path in (dvc / ".dvc/tmp").glob("*") if path.is_file() and "tmp" in path.suffix]


def test_remotes_are_reachable_and_verified_or_it_is_said_what_to_do(dvc, tmp_path_factory):
    assert [line.text for line in Dvc(dvc).remotes()] == ["none: artefacts stay on this machine (docs/team.md)"]
    there = tmp_path_factory.mktemp("remote")
    run(dvc, "dvc", "remote", "add", "team", str(there))
    lines = list(Dvc(dvc).remotes())
    assert [line.mend for line in lines] == ["dvc remote default team", "dvc remote modify team verify true"]
    run(dvc, "dvc", "remote", "default", "team")
    run(dvc, "dvc", "remote", "modify", "team", "verify", "true")
    (line,) = Dvc(dvc).remotes()
    assert line.state == "ok"
    assert line.text.endswith(": reachable and verified")
    there.rmdir()
    (line,) = Dvc(dvc).remotes()
    assert line.state == "warning"


def test_a_remote_that_does_not_answer_is_waited_for_no_longer_than_said(dvc, monkeypatch):
    run(dvc, "dvc", "remote", "add", "--default", "far", "/nowhere/store")
    held = repository.threading.Event()
    monkeypatch.setattr(repository, "PATIENCE", 0.01)
    monkeypatch.setattr(repository, "_answer", lambda *_: held.wait())
    (line,) = Dvc(dvc).remotes()
    held.set()
    assert line.text.endswith("no answer within 0 s")


def test_an_address_is_shown_without_its_password():
    assert repository._public("https://me:secret@host/x") == "https://host/x"
    assert repository._public("s3://bucket/a@b") == "s3://bucket/a@b"


def test_the_root_is_the_folder_that_holds_dvc(dvc):
    (dvc / "a/b").mkdir(parents=True)
    assert repository.root_of(dvc / "a/b") == dvc.resolve()
