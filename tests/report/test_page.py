"""The report: what the page shows, what it says of what is missing, and what is removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from helpers import ROOT
from helpers.metrics import classified, tagged

from earmark.config import Config
from earmark.evaluation.comparison import Difference
from earmark.files import write_json, write_text
from earmark.report import tables
from earmark.report.page import Present, page, remove_leftovers, spent, survey


def config(*experiments: str, crossvalidations: tuple[str, ...] = ()) -> Config:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    one = {"representation": "mel", "labels": "top50", "model": "convolutional", "recipe": "quick"}
    classes = one | {"classes": ["medieval", "folk"]}
    changes = {
        "experiments": dict.fromkeys(experiments, one),
        "crossvalidations": dict.fromkeys(crossvalidations, classes),
    }
    return Config.model_validate(content | changes)


@pytest.fixture
def metrics(tmp_path):
    for name, auc in {"linear": 0.7, "scat": 0.91234}.items():
        tagged(tmp_path / "metrics", name, auc)
    for name, accuracy in {"eras": 0.51, "moods": 0.62}.items():
        write_json(tmp_path / f"metrics/crossvalidations/{name}.json", classified(accuracy))
    return tmp_path / "metrics"


def test_cross_validations_have_a_table_of_their_own(metrics):
    text = page(metrics, Present(["scat"], [], ["eras"], []), [])
    experiments, found = text.split("\n\n")
    assert experiments.startswith("| experiment ")
    assert found.startswith("| cross-validation ")
    assert "| eras " in found


def test_below_the_pairs_stands_what_to_think_of_all_of_them(metrics):
    pairs = [Difference("scat", "linear", 84, 0.2, 0.1, 0.3, 1.0, 1e-9, settled=False, holm=True)]
    text = page(metrics, Present(["scat", "linear"], ["scat", "linear"], [], ["a note"]), pairs)
    _, table, line, notes = text.split("\n\n")
    assert "| cannot tell: one seed |" in table
    assert line.startswith("Of 1 pair, 1 excludes zero;")
    assert notes == "- a note\n"


def test_what_is_not_here_is_named_with_what_brings_it(metrics):
    for name in ("linear", "scat"):
        write_text(metrics.parent / f"scores/{name}.csv", "")
    write_text(metrics.parent / "labels/top50/labels.csv", "")
    tagged(metrics, "pulled", 0.6)
    places = metrics, metrics.parent / "scores", metrics.parent / "labels"
    wanted = config("scat", "gone", "pulled", "linear", crossvalidations=("eras", "never"))
    found = survey(wanted, *places)
    assert (found.evaluated, found.compared, found.classified) == (
        ["scat", "pulled", "linear"], ["scat", "linear"], ["eras"],
    )  # fmt: skip
    root = metrics.parent.as_posix()
    assert found.notes == [
        f"not measured: gone, {root}/metrics/experiments/gone.json is not here: `dvc repro evaluate@gone`",
        f"not compared: pulled, its scores are not here: `dvc pull {root}/scores/pulled.csv`",
        f"not measured: never, {root}/metrics/crossvalidations/never.json is not here: `dvc repro crossvalidate@never`",
    ]
    assert page(metrics, found, []).endswith("".join(f"- {note}\n" for note in found.notes))
    (places[2] / "top50/labels.csv").unlink()
    found = survey(wanted, *places)
    assert found.compared == []
    assert f"not compared: scat, its labels are not here: `dvc pull {root}/labels/top50`" in found.notes


def test_files_of_what_the_settings_no_longer_have_are_removed_and_no_others(tmp_path):
    metrics, scores, labels = tmp_path / "metrics", tmp_path / "scores", tmp_path / "labels"
    kept = [
        metrics / name
        for name in (
            "experiments/linear.json", "tags/linear.csv", "roc/linear.csv", "training/linear.csv",
            "crossvalidations/eras.json", "crossvalidations/.gitkeep", "confusion/eras.csv", "decode/16000.json",
            "papers/demo/old.json", "labels/top50.json", "positives/top50.csv", "details/linear.json",
            "comparison.json", "report.md",
        )
    ]  # fmt: skip
    kept += [scores / "linear.csv", labels / "top50/labels.csv"]
    gone = [
        metrics / name
        for name in (
            "experiments/old.json", "details/old.json", "tags/old.csv", "roc/old.csv", "training/old.csv",
            "crossvalidations/old.json", "confusion/old.csv", "labels/old.json", "positives/old.csv",
            "decode/22050.json",
        )
    ]  # fmt: skip
    gone += [scores / "old.csv", labels / "labels.csv", labels / "old/labels.csv"]
    for file in (*kept, *gone):
        write_text(file, "")
    now = config("linear", crossvalidations=("eras",))
    assert remove_leftovers(now, metrics, scores, labels) == gone
    assert not (labels / "old").exists()
    assert sorted(f for f in tmp_path.rglob("*") if f.is_file()) == sorted(kept)
    assert remove_leftovers(now, metrics, scores, labels) == []


def test_seconds_come_from_the_logs_the_last_run_of_each(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"stage": "train", "name": "linear", "seconds": 9.0}\n'
        '{"stage": "train", "name": "gone", "seconds": 9.0}\n'
        '{"stage": "evaluate", "name": "scat", "seconds": 9.0}\n'
        '{"stage": "train", "name": "linear", "seconds": 2.25}\n[]\n{"stage": "train"}\n{"stage": "train", "na'
    )
    (tmp_path / "b.jsonl").write_text('{"stage": "crossvalidate", "name": "eras", "seconds": 70}\n')
    now = config("linear", "scat", crossvalidations=("eras",))
    assert spent(tmp_path, now) == ["train linear: 2.2 s", "crossvalidate eras: 70.0 s"]
    assert spent(tmp_path / "nothing", now) == []


def test_no_page_has_a_column_of_times():
    columns = (*tables.EXPERIMENTS, *tables.PAIRS, *tables.CROSSVALIDATIONS)
    assert not [c for c in columns if " s" in c or c.startswith("s ") or "sec" in c]
    for file in Path(ROOT / "metrics").rglob("papers/*/*.json"):
        assert "seconds" not in json.loads(file.read_text(encoding="utf-8"))["training"], file
