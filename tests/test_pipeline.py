"""The whole pipeline on twelve synthetic MP3s, in a clone: what runs, what does not, what a failure leaves."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import time

import pytest
import yaml
from clones import Clone, experiments
from conftest import tone, write_mp3


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "project"
    folder.mkdir()
    return Clone.of_this(folder)


@pytest.fixture
def small(clone, make_corpus):
    """A clone with a small corpus and small settings, as it is after a first run."""
    if not (clone.folder / "corpus").exists():
        make_corpus(where=clone.folder / "corpus")
        clone.small()
        clone.first = clone.repro()
    return clone


def test_every_stage_runs_once_and_the_metrics_are_complete(small):
    assert sorted(small.first) == sorted(
        ["demo", "corpus", "labels", "decode@16000", "features@mel", "standardize@mel", "report"]
        + [f"{stage}@{name}" for stage in ("train", "evaluate") for name in ("cnn", "linear")]
    )
    metrics = json.loads((small.folder / "metrics/experiments/cnn.json").read_text())
    assert 0 <= metrics["test"]["roc_auc"]["macro"] <= 1
    assert metrics["test"]["clips"] == 2
    assert metrics["training"]["epochs"] == 1
    assert json.loads((small.folder / "metrics/decode/16000.json").read_text())["rejected"] == 0
    assert "| cnn " in (small.folder / "metrics/report.md").read_text()
    shown = small.run("dvc", "metrics", "show")
    assert "experiments/linear.json" in shown.replace(os.sep, "/")


def test_a_second_run_changes_nothing(small):
    lock = (small.folder / "dvc.lock").read_bytes()
    assert small.repro() == []
    assert (small.folder / "dvc.lock").read_bytes() == lock


def test_training_again_changes_no_byte_that_git_or_dvc_holds_and_logs_what_it_took(small):
    small.repro()
    held = ["dvc.lock", "metrics/report.md", *(f"metrics/{kind}/cnn.csv" for kind in ("training", "tags", "roc"))]
    held += ["metrics/experiments/cnn.json", "data/models/cnn/model.safetensors", "data/models/cnn/curves.csv"]
    before = {name: (small.folder / name).read_bytes() for name in held}
    log = small.folder / "data/logs/train.jsonl"
    lines = len(log.read_text().splitlines())
    small.repro("--force", "train@cnn", "evaluate@cnn")
    assert {name: (small.folder / name).read_bytes() for name in held} == before
    assert len(log.read_text().splitlines()) > lines
    last = [json.loads(line) for line in log.read_text().splitlines() if '"cnn"' in line][-1]
    assert (last["stage"], last["epochs"]) == ("train", 1)
    assert last["seconds"] > 0


def test_one_line_a_stage_says_what_it_did_and_no_bar_is_drawn_outside_a_terminal(small):
    small.repro("--force", "features@mel")
    assert re.search(r"^features mel: 0 clips in [\d.]+ s; 12 were up to date$", small.output, re.M)
    assert "it/s" not in small.output
    assert "\r" not in small.output


def test_a_changed_training_parameter_recomputes_no_feature(small):
    before = small.times("data/features/mel")
    small.params(experiments=experiments(learning_rate=0.0005))
    assert small.repro() == ["train@cnn", "evaluate@cnn", "report"]
    assert small.times("data/features/mel") == before


def test_a_changed_clip_recomputes_its_shard_alone(small):
    waves, features = small.times("data/waveforms/16000"), small.times("data/features/mel")
    write_mp3(next((small.folder / "corpus/audio/1").glob("*-0-29.mp3")), tone(2, 1234))
    small.repro("features@mel")
    for folder, before in (("data/waveforms/16000", waves), ("data/features/mel", features)):
        after = small.times(folder)
        assert {name for name in after if after[name] != before[name]} == {"1.h5"}
    assert re.search(r"^features mel: 4 clips", small.output, re.M)


def test_a_wrong_setting_stops_before_any_work_with_its_key_and_value(small):
    good = yaml.safe_load((small.folder / "params.yaml").read_text())["representations"]
    small.params(representations={"mel": good["mel"] | {"hop": -256}})
    small.repro("features@mel", code=255)
    assert "representations.mel.hop: input should be greater than 0, got -256" in small.output
    assert "Traceback" not in small.output
    small.params(representations=good)


def test_a_corpus_without_mp3s_is_an_error_and_the_old_tables_stay_away(small):
    corpus = yaml.safe_load((small.folder / "params.yaml").read_text())["corpus"]
    (small.folder / "nothing").mkdir()
    small.params(corpus=corpus | {"audio": "nothing"})
    output = small.run(sys.executable, "stages/corpus.py", "--out", "elsewhere", code=1)
    assert "corpus.audio: nothing holds no folder with MP3 files" in output
    assert not (small.folder / "elsewhere").exists()
    small.params(corpus=corpus)


def test_songs_that_are_cut_into_segments_are_trained_on_all_and_scored_as_one(small):
    waveforms, before = {"16000": {"samples": 10_000, "policy": "segments"}}, small.params_now()
    mel = before["representations"]["mel"] | {"samples": 10_000, "hop": 128, "dtype": "float16"}
    small.params(waveforms=waveforms, representations={"mel": mel})
    small.repro("evaluate@cnn")
    decoded = json.loads((small.folder / "metrics/decode/16000.json").read_text())
    assert (decoded["clips"], decoded["segments"]) == (12, 48)
    metrics = json.loads((small.folder / "metrics/experiments/cnn.json").read_text())
    assert (metrics["test"]["clips"], metrics["test"]["missing_clips"]) == (2, 0)
    assert len((small.folder / "data/scores/cnn.csv").read_text().splitlines()) == 1 + 2
    small.params(**before)
    small.repro()


def test_two_processes_train_an_experiment_and_its_metrics_are_written_once(small):
    small.environment |= {"EARMARK_DEVICES": "2", "OMP_NUM_THREADS": "1"}
    try:
        small.repro("--force", "--single-item", "train@cnn")
    finally:
        del small.environment["EARMARK_DEVICES"]
    assert len(re.findall(r"^train cnn: ", small.output, re.M)) == 1
    assert sorted(path.name for path in (small.folder / "data/models/cnn").iterdir()) == [
        "curves.csv", "model.safetensors",
    ]  # fmt: skip
    assert len((small.folder / "data/models/cnn/curves.csv").read_text().splitlines()) == 1 + 1
    assert small.repro("evaluate@cnn") in ([], ["evaluate@cnn"])


@pytest.mark.slow
def test_experiments_are_queued_run_two_at_a_time_and_shown_side_by_side(small):
    corpus = small.params_now()["corpus"]
    # a queued experiment runs in a copy of what git holds: the music is named by where it really is
    where = {key: str((small.folder / corpus[key]).resolve()) for key in ("audio", "annotations")}
    small.params(corpus=corpus | where, experiments=experiments(learning_rate=0.0005))
    small.repro()
    small.run("git", "add", "--all", ":!corpus")
    small.run("git", "commit", "--quiet", "--message", "a state to start from")
    queued = small.run(
        "dvc", "exp", "run", "--queue", "--set-param", "experiments.cnn.learning_rate=0.01,0.003,0.001,0.0003"
    )
    assert len(re.findall(r"Queued experiment '", queued)) == 4
    small.run("dvc", "queue", "start", "--jobs", "2")
    end = time.monotonic() + 480
    while "Running" in (status := small.run("dvc", "queue", "status")) or "Queued" in status:
        assert time.monotonic() < end, status
        time.sleep(2)
    assert len(re.findall(r"\bSuccess\b", status)) == 4, status
    keep = r"Experiment|.*learning_rate|.*cnn.json:test.(roc_auc.macro|half.loss)"
    rows = list(csv.DictReader(io.StringIO(small.run("dvc", "exp", "show", "--csv", "--drop", ".*", "--keep", keep))))
    rates = {row["experiments.cnn.learning_rate"] for row in rows if row["Experiment"]}
    assert rates == {"0.01", "0.003", "0.001", "0.0003"}
    assert len({row["metrics/experiments/cnn.json:test.half.loss"] for row in rows}) == 5  # and the baseline's
