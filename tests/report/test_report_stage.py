"""The report in a clone: what it needs, what it says of what is not there, what it removes, what a failure leaves."""

from __future__ import annotations

import json
import shutil

import pytest
from helpers.clones import LINEAR, Clone, experiments, six_songs

TWO = {"linear": LINEAR, "second": LINEAR | {"seeds": [2]}}
LEVELS = experiments()["cnn"] | {"classes": ["high", "low"], "folds": 2, "groups": "song"}
WRITTEN = ("docs/reproduction.md", "metrics/comparison.json", "metrics/fusions.json", "metrics/report.md")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Two experiments, no cross-validation, run and committed."""
    folder = tmp_path_factory.mktemp("report") / "project"
    folder.mkdir()
    made = Clone.of_this(folder).warm()
    six_songs(folder / "corpus")
    made.small(experiments=TWO)
    made.repro()
    made.commit("two experiments")
    return made


@pytest.fixture
def settled(clone):
    """The clone as it was committed, with nothing to do."""
    clone.run("git", "checkout", "--quiet", "--force", "main")
    clone.run("git", "clean", "--quiet", "--force", "-d", "metrics")
    clone.repro()
    clone.run("git", "checkout", "--quiet", "--force", "main")
    return clone


def test_a_cross_validation_and_a_fusion_are_in_the_report_and_leave_with_their_lines_in_the_settings(settled):
    fusions = {"both": {"experiments": ["linear", "third"]}}
    three = TWO | {"third": LINEAR | {"seeds": [3]}}
    settled.params(crossvalidations={"levels": LEVELS}, experiments=three, fusions=fusions)
    ran = settled.repro()
    assert set(ran) == {"crossvalidate@levels", "train@third", "evaluate@third", "report"}, settled.output
    page = (settled.folder / "metrics/report.md").read_text()
    assert "| levels " in page
    assert "| third " in page
    assert "| both, fusion of 2 " in page
    browser = (settled.folder / "report/index.html").read_text()
    assert all(f">{name}</th>" in browser for name in ("levels", "third", "both, fusion of 2"))
    assert "both.roc_auc" in settled.run("dvc", "metrics", "diff")
    logs = settled.folder / "data/logs"
    logs.mkdir(exist_ok=True)
    (logs / "train.jsonl").write_text(json.dumps({"stage": "train", "name": "second", "seconds": 12.34}) + "\n")
    settled.params(crossvalidations={}, experiments=TWO, fusions={})
    assert settled.repro() == ["report"]
    assert json.loads((settled.folder / "metrics/fusions.json").read_text()) == {}
    browser = (settled.folder / "report/index.html").read_text()
    assert not any(name in browser for name in ("levels", "third", "fusion of 2"))
    names = ("experiments/third.json", "details/third.json", "tags/third.csv", "roc/third.csv", "training/third.csv")
    names = [f"metrics/{name}" for name in (*names, "crossvalidations/levels.json", "confusion/levels.csv")]
    (line,) = [line for line in settled.output.splitlines() if line.startswith("report: removed ")]
    for name in (*names, "data/scores/third.csv"):
        assert not (settled.folder / name).exists()
        assert name in line
    assert "train second: 12.3 s" in settled.output
    for name in WRITTEN:
        text = (settled.folder / name).read_text()
        assert "levels" not in text
        assert "third" not in text
        assert "12.3" not in text
    assert settled.repro() == []


def test_an_experiment_of_several_seeds_has_a_mean_a_deviation_and_an_ensemble(settled):
    """One process trains them; each has its model, and adding a seed changes no byte of those that were there."""
    settled.params(experiments=TWO | {"cnn": experiments()["cnn"] | {"seeds": [1, 7]}})
    assert set(settled.repro()) == {"train@cnn", "evaluate@cnn", "report"}, settled.output
    models = settled.folder / "data/models/cnn"
    assert sorted(path.relative_to(models).as_posix() for path in models.rglob("*.safetensors")) == [
        "seed-1/model.safetensors", "seed-7/model.safetensors",
    ]  # fmt: skip
    figures = json.loads((settled.folder / "metrics/experiments/cnn.json").read_text())
    assert list(figures) == ["roc_auc", "low", "high", "pr_auc", "deviation"]
    details = json.loads((settled.folder / "metrics/details/cnn.json").read_text())
    each = details["test"]["roc_auc"]["each"]
    assert figures["roc_auc"] == pytest.approx(sum(each) / 2)
    assert {seed: training["seed"] for seed, training in details["training"].items()} == {"1": 1, "7": 7}
    lines = (settled.folder / "data/scores/cnn.csv").read_text().splitlines()
    assert [line.split(",")[2] for line in lines] == ["seed", "1", "1", "7", "7"]
    curves = (settled.folder / "metrics/training/cnn.csv").read_text().splitlines()
    assert curves[0].startswith("seed,epoch,")
    assert [line.split(",")[0] for line in curves[1:]] == ["1", "7"]
    page = (settled.folder / "metrics/report.md").read_text()
    assert "| cnn, ensemble of 2 " in page
    first = (models / "seed-1/model.safetensors").read_bytes()
    settled.params(experiments=TWO | {"cnn": experiments()["cnn"] | {"seeds": [1]}})
    settled.repro("evaluate@cnn")
    assert (models / "model.safetensors").read_bytes() == first
    assert "tags" in settled.run("earmark", "predict", "--model", "cnn", "--json", next_file(settled))


def next_file(clone):
    """Some file of the corpus."""
    return str(next((clone.folder / "corpus/audio").glob("*/*.mp3")))


def test_a_report_that_fails_leaves_what_git_holds_of_it(settled):
    settled.params(evaluation={"resamples": -1, "seed": 1})
    settled.repro("--single-item", "report", code=255)
    assert "evaluation.resamples" in settled.output
    assert {line[3:] for line in settled.run("git", "status", "--porcelain").splitlines()} == {"params.yaml", "corpus/"}
    assert all((settled.folder / name).is_file() for name in WRITTEN)


def test_a_clone_without_the_scores_reports_what_it_has_and_names_what_brings_the_rest(settled, tmp_path):
    settled.run("dvc", "remote", "add", "--default", "--force", "team", str(tmp_path / "remote"))
    settled.run("dvc", "push")
    settled.run("git", "clone", "--quiet", str(settled.folder), str(tmp_path / "partial"))
    partial = Clone(tmp_path / "partial")
    shutil.copy(settled.folder / ".dvc/config", partial.folder / ".dvc/config")
    partial.params(experiments=TWO | {"third": LINEAR | {"seeds": [3]}})
    assert partial.repro("--pull", "--allow-missing") == ["train@third", "evaluate@third", "report"]
    assert "Traceback" not in partial.output
    page = (partial.folder / "metrics/report.md").read_text()
    for name in ("linear", "second"):
        note = f"not compared: {name}, its scores are not here: `dvc pull data/scores/{name}.csv`"
        assert note in page
        assert note in partial.output
        assert f"| {name} " in page
    assert not [line for line in partial.run("git", "status", "--porcelain").splitlines() if line.startswith(" D")]
    partial.run("dvc", "pull", "data/scores/linear.csv", "data/scores/second.csv")
    assert partial.repro("--allow-missing") == ["report"]
    assert "not compared" not in (partial.folder / "metrics/report.md").read_text()
    assert len(json.loads((partial.folder / "metrics/comparison.json").read_text())) == 3
