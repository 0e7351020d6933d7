"""What is here against a git revision: from DVC's cache or remote, with a word on what is absent or differs."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest
import torch
import yaml
from helpers.clones import LINEAR, SMALL, Clone, six_songs
from helpers.sealed import sealed, unsealed

from earmark.cli import main
from earmark.corpus.label_table import Labelled, write_labels
from earmark.corpus.manifest import TagTable
from earmark.evaluation.scoring import write_scores
from earmark.features.dataset import Split
from earmark.files import write_json

ROWS, TAGS = 60, ("drums", "flute")
LABELS = (np.random.default_rng(0).random((ROWS, 2)) < 0.4).astype(np.uint8)


class Project:
    """A project in git and DVC that has scores, labels and settings, and no pipeline that makes them."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.run("git", "init", "--quiet", "--initial-branch", "main")
        for key, value in {"user.email": "someone@example.org", "user.name": "Someone"}.items():
            self.run("git", "config", key, value)
        self.run("dvc", "init", "--quiet")
        self.run("dvc", "remote", "add", "--quiet", "--default", "team", str(folder.parent / "remote"))

    def run(self, *command):
        quiet = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site")}
        subprocess.run(command, cwd=self.folder, env=os.environ | quiet, check=True, capture_output=True)

    def write(self, experiments, labels=LABELS):
        """Set experiments, each of so much signal and so many seeds, and write their results; forget all others."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        settings = dict.fromkeys(experiments, LINEAR)
        base = {"labels": {"top50": {"top": 50, "clean": True, "synonyms": "none.yaml"}}, "recipes": {}}
        (self.folder / "params.yaml").write_text(
            yaml.safe_dump(SMALL | base | {"experiments": settings}, sort_keys=False)
        )
        clips = [Labelled(f"{row}", f"song {row // 2}", "x", "test") for row in range(ROWS)]
        table = TagTable(tuple(clip.clip_id for clip in clips), TAGS, labels)
        write_labels(self.folder / "data/labels/top50/labels.csv", clips, table)
        split = Split(torch.zeros(ROWS, 1, 1), torch.zeros(ROWS, 2), tuple(clips), TAGS, 0)
        for name, (signal, seeds) in experiments.items():
            rng = np.random.default_rng(2)
            scores = np.stack([LABELS * signal + rng.normal(0, 0.5, LABELS.shape) for _ in range(seeds)])
            write_scores(self.folder / f"data/scores/{name}.csv", split, scores, range(seeds))
            write_json(self.folder / f"metrics/details/{name}.json", {"training": {"seeded": name != "linear"}})

    def commit(self, message):
        self.run("dvc", "add", "--quiet", "data/scores", "data/labels/top50")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """On main `linear`, `cnn` and `old`; on the branch, which is checked out, better ones, and `new` for `old`."""
    made = Project(tmp_path_factory.mktemp("revisions") / "project")
    made.write({"linear": (0.4, 1), "cnn": (0.4, 1), "old": (0.4, 1)})
    made.commit("main")
    made.run("dvc", "push", "--quiet")
    made.run("git", "checkout", "--quiet", "-b", "a|branch")
    made.write({"linear": (1.0, 1), "cnn": (1.0, 1), "new": (0.4, 1)})
    made.commit("a branch")
    return made


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(project.folder.parent / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(project.folder)
    return project


def compared(capsys, *arguments):
    """What ``earmark compare`` prints."""
    assert main(["compare", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["compare", *arguments])
    assert stop.value.code == 1
    return capsys.readouterr().err


def cells(line):
    return [cell.strip() for cell in line.strip("|\n").split("|")]


@pytest.mark.usefixtures("here")
def test_the_table_tells_which_experiments_differ_from_those_of_a_branch(capsys):
    header, _, linear, cnn, empty, how, gap, *notes = compared(capsys, "main").splitlines()
    assert cells(header) == ["experiment", "here", "main", "difference", "95 % interval", "distinct"]
    assert cells(linear)[0] == "linear"
    assert float(cells(linear)[1]) > float(cells(linear)[2])
    assert cells(linear)[3].startswith("+")
    assert cells(linear)[5] == "yes"  # it fits itself
    assert cells(cnn)[5] == "cannot tell: one seed"
    assert (empty, gap) == ("", "")
    assert how.startswith("Mean ROC-AUC on the test clips of both; here: ")
    assert "Intervals by 20 resamples of songs and seeds. Of 2 pairs, 2 exclude zero;" in how
    assert notes == ["- only here: new", "- only in main: old"]


@pytest.mark.usefixtures("here")
def test_a_revision_against_itself_does_not_differ_and_one_experiment_can_be_named(capsys):
    text = compared(capsys, "HEAD", "--experiment", "cnn")
    assert len(text.splitlines()) == 5
    assert cells(text.splitlines()[2])[3:] == ["+0.0000", "+0.0000 to +0.0000", "no, same scores"]
    assert text.splitlines()[4].endswith("songs and seeds. 1 has the same scores in both.")


@pytest.mark.usefixtures("here")
def test_for_a_pull_request_names_stand_as_code_and_a_bar_breaks_no_cell(capsys):
    text = compared(capsys, "a|branch", "--markdown")
    assert "| `a\\|branch` |" in text.splitlines()[0]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout[:7]
    assert f"here: `{commit}`, `a|branch`: `{commit}`." in text


def test_what_is_not_committed_is_told(here, capsys):
    file = here.folder / "params.yaml"
    before = file.read_text()
    file.write_text(before + "# a change\n")
    try:
        assert " with changes, main: " in compared(capsys, "main")
    finally:
        file.write_text(before)


def test_scores_come_from_the_remote_if_the_cache_has_none_and_the_error_says_what_makes_them(here, capsys):
    cache, remote = here.folder / ".dvc/cache", here.folder.parent / "remote"
    kept = cache.rename(here.folder.parent / "cache")
    try:
        assert "| linear " in compared(capsys, "main")
        gone = remote.rename(remote.with_name("gone"))
        try:
            told = refused(capsys, "main")
        finally:
            gone.rename(remote)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        kept.rename(cache)
    assert "error: linear: data/scores/linear.csv in main is neither in DVC's cache nor in its remote: " in told
    assert "`git checkout main && dvc repro evaluate@linear && dvc push` makes it" in told


def test_an_experiment_without_scores_here_is_named_and_the_others_are_compared(here, capsys):
    file = here.folder / "data/scores/cnn.csv"
    kept = file.rename(file.with_name("kept"))
    why = "cnn: data/scores/cnn.csv is not here: `dvc repro evaluate@cnn` makes it, `dvc pull data/scores/cnn.csv`"
    try:
        text = compared(capsys, "main")
        told = refused(capsys, "main", "--experiment", "cnn", "linear")
    finally:
        kept.rename(file)
    assert f"- not compared: {why}" in text
    assert "| linear " in text
    assert f"error: {why}" in told


def test_damaged_scores_of_a_revision_are_named_as_they_are_called_there(here, capsys):
    here.run("git", "checkout", "--quiet", "-b", "older", "main")
    here.run("dvc", "checkout", "--quiet", "--force")
    file = here.folder / "data/scores/cnn.csv"
    rows = [line.split(",") for line in unsealed(file).splitlines()]
    sealed(file, "".join(",".join([*row[:2], *row[3:]]) + "\n" for row in rows))
    here.commit("scores of an older version")
    here.run("git", "checkout", "--quiet", "a|branch")
    here.run("dvc", "checkout", "--quiet", "--force")
    text = compared(capsys, "older")
    assert "- not compared: cnn: data/scores/cnn.csv in older cannot be used: it has no column seed: an older" in text
    assert "| linear " in text


def test_what_cannot_be_compared_is_refused_with_the_likely_cause(here, capsys, tmp_path, monkeypatch):
    assert "there is no git revision 'mian': a typing mistake, or a branch that was not" in refused(capsys, "mian")
    assert "has no 'liner': close to linear" in refused(capsys, "main", "--experiment", "liner")
    assert "experiment new does not exist in main, where there are linear, cnn, old" in refused(
        capsys, "main", "--experiment", "new"
    )
    assert "must lie in the project" in refused(capsys, "main", "--data", str(tmp_path))
    shutil.copy(here.folder / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert f"{tmp_path} lies in no project: there is no folder .dvc" in refused(capsys, "main")
    subprocess.run(["dvc", "init", "--no-scm", "--quiet"], check=True)
    assert f"{tmp_path} is no git repository" in refused(capsys, "main")


def test_experiments_that_share_no_name_are_listed(here, capsys):
    file = here.folder / "params.yaml"
    before = file.read_text()
    file.write_text(yaml.safe_dump(yaml.safe_load(before) | {"experiments": {"mine": LINEAR}}))
    try:
        told = refused(capsys, "main")
    finally:
        file.write_text(before)
    assert "no experiment has one name here (mine) and in main (linear, cnn, old)" in told


def test_the_pipelines_own_results_are_compared_across_branches(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    clone = Clone.of_this(folder).warm()
    six_songs(folder / "corpus")
    clone.small(experiments={"linear": LINEAR})
    clone.repro("evaluate@linear")
    clone.commit("main")
    clone.run("git", "checkout", "--quiet", "-b", "idea")
    clone.small(experiments={"linear": LINEAR}, labels={"top50": clone.params_now()["labels"]["top50"] | {"top": 2}})
    clone.repro("evaluate@linear")
    text = clone.run("earmark", "compare", "main")
    assert "| linear " in text
    assert "- linear: compared on 2 clips and 2 tags; 1 tags only in main" in text
