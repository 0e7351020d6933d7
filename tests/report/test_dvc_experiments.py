"""What DVC knows of experiments, in a project whose stages take no time; and what is said where there is none."""

from __future__ import annotations

import csv
import re
import sys

import pytest
import yaml
from helpers import ROOT
from helpers.clones import Clone

from earmark.errors import EarmarkError
from earmark.report.dvc_experiments import ranked

STAGES = {
    "stages": {
        "evaluate": {
            "foreach": "${experiments}",
            "do": {
                "cmd": "python score.py ${key}",
                "params": ["experiments.${key}"],
                "metrics": [{"metrics/experiments/${key}.json": {"cache": False}}],
            },
        }
    }
}
SCORE = """import json, pathlib, sys, yaml
rate = yaml.safe_load(open("params.yaml"))["experiments"][sys.argv[1]]["learning_rate"]
if rate > 1:
    sys.exit("too fast")
pathlib.Path("metrics/experiments").mkdir(parents=True, exist_ok=True)
figures = {"roc_auc": 0.5 + rate, "low": 0.4, "high": 0.9, "pr_auc": 0.3}
json.dump(figures, open(f"metrics/experiments/{sys.argv[1]}.json", "w"))
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A project under git and DVC, without a commit."""
    folder = tmp_path_factory.mktemp("sweep") / "project"
    folder.mkdir()
    made = Clone(folder, PYTHONPATH=str(ROOT / "src"))
    made.run("git", "init", "--quiet", "--initial-branch", "main")
    made.run("git", "config", "user.email", "someone@example.org")
    made.run("git", "config", "user.name", "Someone")
    made.run("dvc", "init", "--quiet")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (folder / "score.py").write_text(SCORE)
    rates = {name: {"model": "crnn", "learning_rate": 0.1} for name in ("mine", "other")}
    (folder / "params.yaml").write_text(yaml.safe_dump({"experiments": rates}))
    return made


@pytest.fixture(scope="module")
def swept(empty):
    """The same, run and committed; of three experiments one has finished, one has failed and one waits."""
    with pytest.raises(EarmarkError, match=r"has no commit, .* `git add --all && git commit` first"):
        ranked(empty.folder)
    empty.commit("settings")
    with pytest.raises(EarmarkError, match=r"no experiment .* metrics/experiments.*`dvc repro` makes them"):
        ranked(empty.folder)
    empty.repro()
    empty.commit("a state to start from")
    assert [note[:36] for note in ranked(empty.folder).notes] == ["DVC has no experiments of this commi"]
    for name, rate in (("good", 0.3), ("bad", 7)):
        empty.run("dvc", "exp", "run", "--queue", "--name", name, "-S", f"experiments.mine.learning_rate={rate}")
    empty.run("dvc", "exp", "run", "--run-all")
    empty.run("dvc", "exp", "run", "--queue", "--name", "later", "-S", "experiments.other.learning_rate=0.2")
    return empty


def test_what_finished_is_ranked_with_the_workspace_and_the_rest_is_counted(swept, tmp_path):
    board = ranked(swept.folder, csv=tmp_path / "board.csv")
    assert [(row.origin, row.experiment, row.figures["roc_auc"], row.differs) for row in board.rows] == [
        ("good", "mine", 0.8, "experiments.mine.learning_rate 0.3, not 0.1"),
        ("workspace", "mine", 0.6, ""),
        ("workspace", "other", 0.6, ""),
    ]
    assert board.notes == [
        "queued: 1 (later), see `dvc queue start --jobs 2`",
        "failed: 1 (bad), see `dvc queue logs NAME`",
    ]
    rows = list(csv.DictReader((tmp_path / "board.csv").read_text().splitlines()))
    assert [(row["from"], row["roc_auc"]) for row in rows] == [
        ("good", "0.8"),
        ("workspace", "0.6"),
        ("workspace", "0.6"),
    ]
    assert rows[0]["differs"] == "experiments.mine.learning_rate 0.3, not 0.1"


def test_the_command_prints_the_table(swept):
    shown = swept.run(sys.executable, "-m", "earmark.cli", "leaderboard", "--baseline", "other")
    assert re.search(r"^good +mine +0\.8000 +0\.4000 to 0\.9000 +0\.3000 +experiments\.mine", shown, re.M)
    assert "| good " in swept.run(sys.executable, "-m", "earmark.cli", "leaderboard", "--markdown")
    assert "close to other" in swept.run(
        sys.executable, "-m", "earmark.cli", "leaderboard", "--baseline", "othr", code=1
    )


def test_experiments_of_another_commit_are_counted(swept):
    swept.run("git", "commit", "--quiet", "--allow-empty", "--message", "on")
    board = ranked(swept.folder)
    assert {row.origin for row in board.rows} == {"workspace"}
    assert any(note == "of other commits: 1, see `dvc exp list --all-commits`" for note in board.notes)
    swept.run("git", "reset", "--quiet", "--hard", "HEAD~1")


def test_outside_of_a_project_it_says_what_to_run(tmp_path):
    with pytest.raises(EarmarkError, match=r"is in no DVC project; .*`git init` and `dvc init`"):
        ranked(tmp_path)
    bare = Clone(tmp_path)
    bare.run("dvc", "init", "--no-scm", "--quiet")
    with pytest.raises(EarmarkError, match="is not under git, in which DVC keeps its experiments"):
        ranked(tmp_path)
