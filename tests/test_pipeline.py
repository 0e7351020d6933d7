"""The whole pipeline on twelve synthetic MP3s, in a clone: what runs, what does not, what a failure leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, tone, write_mp3

COPIED = ("dvc.yaml", "params.yaml", "stages", "src", ".dvcignore", ".gitignore")


class Clone:
    """A working copy of the project, and commands that run in it with its own code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        (folder / "metrics/papers").mkdir(parents=True)
        (folder / "metrics/papers/.gitkeep").touch()
        self.environment = os.environ | {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
        }
        self.run("git", "init", "--quiet")
        self.run("dvc", "init", "--quiet")

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self, *arguments: str, code: int = 0) -> list[str]:
        """Run ``dvc repro``; return the stages that were run."""
        self.output = self.run("dvc", "repro", *arguments, code=code)
        return re.findall(r"Running stage '([^']+)'", self.output)

    def params(self, **sections: object) -> None:
        path = self.folder / "params.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))

    def times(self, folder: str) -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in (self.folder / folder).glob("*.h5")}


def experiments(**changes: object) -> dict[str, object]:
    cnn = {"representation": "mel", "model": "convolutional", "system": "mel-2d-cnn", "preset": "demo", "epochs": 1}
    return {"cnn": cnn | changes, "linear": {"representation": "mel", "model": "linear"}}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "project"
    folder.mkdir()
    return Clone(folder)


@pytest.fixture
def small(clone, make_corpus):
    """A clone with a small corpus and small settings, as it is after a first run."""
    if not (clone.folder / "corpus").exists():
        make_corpus(where=clone.folder / "corpus")
        clone.params(
            corpus={
                "kind": "magnatagatune",
                "audio": "corpus/audio",
                "annotations": "corpus/annotations_final.csv",
                "demo": {"clips": 400, "seed": 1},
            },
            waveforms={"16000": {"samples": 30_000}},
            representations={
                "mel": {"kind": "mel", "rate": 16_000, "samples": 28_000, "hop": 256, "n_fft": 512, "n_mels": 48}
            },
            experiments=experiments(),
            evaluation={"resamples": 20, "seed": 1},
        )
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
