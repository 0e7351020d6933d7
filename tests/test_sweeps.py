"""A sweep, as docs/guide/sweeps.md shows it: twelve experiments of DVC's queue, two at a time, and their ranking."""

from __future__ import annotations

import json
import re

import pytest
from helpers import ROOT
from helpers.clones import SMALL, Clone, six_songs
from helpers.snippets import Command, commands, snippets

MINE = {"representation": "mel", "labels": "top50", "model": "convolutional", "recipe": "quick"}
LINEAR = {"representation": "mel", "labels": "top50", "model": "linear"}
QUEUE, RUN, RANK = "dvc exp run --queue", "dvc exp run --run-all", "earmark leaderboard"


def shown(beginning: str) -> list[Command]:
    """The commands of the page that begin so."""
    page = snippets([ROOT / "docs/guide/sweeps.md"])
    return [one for snippet in page for one in commands(snippet) if one.line.startswith(beginning)]


def ranked(output: str) -> list[tuple[str, str, str]]:
    """Of each row of a leaderboard where it is from, its experiment, and what differs; names of DVC's are left out."""
    rows = [re.split(r" {2,}", line) for line in output.splitlines()[1:] if re.search(r" -?\d\.\d{4} to ", line)]
    return sorted((row[0] if row[0] == "workspace" else "DVC", row[1], "".join(row[5:])) for row in rows)


def as_before(clone: Clone) -> None:
    """Put back what the commit has."""
    clone.run("git", "checkout", "--quiet", ".")
    clone.run("dvc", "checkout", "--quiet", "--force")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone that has run and is committed; its music lies outside, where the queue's copies find it, too."""
    folder = tmp_path_factory.mktemp("sweep") / "project"
    folder.mkdir()
    made = Clone.of_this(folder, OMP_NUM_THREADS="1").warm()
    music = folder.parent / "music"
    six_songs(music)
    where = {"audio": str(music / "audio"), "annotations": str(music / "annotations_final.csv")}
    made.small(corpus=SMALL["corpus"] | where, experiments={"mine": MINE, "linear": LINEAR})
    made.repro()
    made.commit("a state to start from")
    return made


@pytest.mark.slow
def test_twelve_experiments_run_two_at_a_time_with_the_code_of_when_they_were_queued_and_are_ranked(clone):
    before = (clone.decoded(), clone.times("data/features/mel"), clone.run("git", "stash", "list"))
    for queue in shown(QUEUE):
        clone.run("bash", "-c", queue.line)
    network = clone.folder / "src/earmark/models/convolutional.py"
    network.write_text(network.read_text() + 'raise RuntimeError("edited while the queue runs")\n')
    (run,) = shown(RUN)
    clone.run("bash", "-c", run.line)
    status = clone.run("dvc", "queue", "status")
    assert len(re.findall(r"\bSuccess\b", status)) == 12, status
    clone.run("git", "checkout", "--quiet", str(network))
    assert clone.run("git", "status", "--porcelain") == ""
    assert (clone.decoded(), clone.times("data/features/mel"), clone.run("git", "stash", "list")) == before

    logs = [log.read_text() for log in (clone.folder / ".dvc/tmp/exps/run").glob("*/*.out")]  # as `dvc queue logs` does
    ran = [stage for log in logs for stage in re.findall(r"Running stage '([^']+)'", log)]
    assert {stage: ran.count(stage) for stage in ran} == {
        "settings": 12, "features@mel": 1, "standardize@mel-top50": 1, "train@mine": 12, "evaluate@mine": 12,
    }  # fmt: skip
    (rank,) = shown(RANK)
    rows = ranked(clone.run("bash", "-c", rank.line))
    assert len(rows) == 12 + 2
    assert rows == ranked(rank.output)


@pytest.mark.slow
def test_what_a_sweep_found_is_taken_over_and_nothing_is_trained_again(clone):
    rows = clone.run("earmark", "leaderboard").splitlines()
    (name,) = [row.split()[0] for row in rows if re.search(r" -?\d\.\d{4} to .* representations\.mel\.n_mels ", row)]
    clone.run("dvc", "exp", "apply", name)
    assert "representations.mel.n_mels" in clone.run("dvc", "params", "diff")
    assert clone.repro("evaluate@mine") == []
    as_before(clone)
    clone.params(experiments={"mine": MINE | {"learning_rate": 0.01}, "linear": LINEAR})
    assert clone.repro("evaluate@mine") == []  # out of the run cache
    assert "Stage 'train@mine' is cached - skipping run, checking out outputs" in clone.output
    as_before(clone)


def test_whatever_an_experiment_depends_on_shows_in_params_diff(clone):
    before = clone.params_now()
    changes = {
        "experiments.mine.learning_rate": 0.01,
        "experiments.mine.network.dropout": 0.3,
        "experiments.mine.seeds": [1, 2],
        "labels.top50.top": 2,
        "recipes.quick.weight_decay": 0.1,
        "representations.mel.n_mels": 56,
        "waveforms.16000.samples": 29_000,
    }
    content = clone.params_now()
    for key, value in changes.items():
        *path, last = key.split(".")
        place = content
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    clone.params(**content)
    try:
        found = json.loads(clone.run("dvc", "params", "diff", "--json"))["params.yaml"]
        table = clone.run("dvc", "params", "diff", "main")
    finally:
        clone.params(**before)
    assert {key: str(change["new"]) for key, change in found.items()} == {key: str(new) for key, new in changes.items()}
    assert re.search(r"^params.yaml +recipes\.quick\.weight_decay +- +0\.1$", table, re.M)
