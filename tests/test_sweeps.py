"""A sweep in a clone: twelve experiments of DVC's queue, two at a time, and what is shown of them afterwards."""

from __future__ import annotations

import csv
import re
import sys
import time

import pytest
from helpers.clones import SMALL, Clone, six_songs

RATES = (0.03, 0.01, 0.003, 0.0003, 0.0001, 0.00003, 0.00001)
SWEEP = {  # what is set for each run, and what the leaderboard says of it
    **{f"+experiments.cnn.learning_rate={rate}": f"experiments.cnn.learning_rate {rate}, not 0.001" for rate in RATES},
    "+experiments.cnn.network.dropout=0.3": "experiments.cnn.network.dropout 0.3, not the default",
    "+experiments.cnn.network.channels=[8,16,16,16]": (
        "experiments.cnn.network.channels [8, 16, 16, 16], not the default"
    ),
    "+experiments.cnn.seeds=[1,2]": "experiments.cnn.seeds [1, 2], not [1]",
    "recipes.quick.batch=4": "recipes.quick.batch 4, not 16",
    "representations.mel.n_mels=56": "representations.mel.n_mels 56, not 48",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone that has run and is committed; its music lies outside, where the queue's copies find it, too."""
    folder = tmp_path_factory.mktemp("sweep") / "project"
    folder.mkdir()
    made = Clone.of_this(folder, OMP_NUM_THREADS="1")
    music = folder.parent / "music"
    six_songs(music)
    where = {"audio": str(music / "audio"), "annotations": str(music / "annotations_final.csv")}
    made.small(corpus=SMALL["corpus"] | where)
    made.repro()
    made.commit("a state to start from")
    return made


@pytest.mark.slow
def test_twelve_experiments_are_queued_run_two_at_a_time_and_ranked(clone, tmp_path):
    before = (clone.decoded(), clone.times("data/features/mel"), clone.run("git", "stash", "list"))
    together = "+experiments.cnn.learning_rate=" + ",".join(map(str, RATES))
    for change in [together, *list(SWEEP)[len(RATES) :]]:
        clone.run("dvc", "exp", "run", "--queue", "--set-param", change, "evaluate@cnn")
    begun = time.monotonic()
    clone.run("dvc", "exp", "run", "--run-all", "--jobs", "2")
    print(f"twelve experiments: {time.monotonic() - begun:.0f} s")
    status = clone.run("dvc", "queue", "status")
    assert len(re.findall(r"\bSuccess\b", status)) == 12, status
    assert clone.run("git", "status", "--porcelain") == ""
    assert (clone.decoded(), clone.times("data/features/mel"), clone.run("git", "stash", "list")) == before

    logs = {task: clone.run("dvc", "queue", "logs", task) for task in re.findall(r"^([0-9a-f]{7}) ", status, re.M)}
    ran = [stage for log in logs.values() for stage in re.findall(r"Running stage '([^']+)'", log)]
    assert {stage: ran.count(stage) for stage in ran} == {
        "settings": 12, "features@mel": 1, "standardize@mel-top50": 1, "train@cnn": 12, "evaluate@cnn": 12,
    }  # fmt: skip

    clone.run(sys.executable, "-m", "earmark.cli", "leaderboard", "--csv", str(tmp_path / "board.csv"))
    rows = list(csv.DictReader((tmp_path / "board.csv").read_text().splitlines()))
    assert sorted(row["differs"] for row in rows if row["from"] != "workspace") == sorted(SWEEP.values())
    assert {row["experiment"] for row in rows if row["from"] != "workspace"} == {"cnn"}
    assert sorted(row["experiment"] for row in rows if row["from"] == "workspace") == ["cnn", "linear"]
