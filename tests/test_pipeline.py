"""The whole pipeline on twelve synthetic MP3s, in a clone: what runs, what does not, what a failure leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys

import h5py
import pytest
import yaml
from helpers.clones import LINEAR, Clone, experiments
from helpers.music import tone, write_mp3, write_songs

from earmark.errors import EarmarkError
from earmark.training.validation import judge


@pytest.fixture(scope="module")
def run_once(tmp_path_factory) -> Clone:
    """A clone with a small corpus and small settings, after its first run."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    folder.mkdir()
    clone = Clone.of_this(folder)
    write_songs(folder / "corpus", 6, 2.0)
    clone.small()
    clone.repro()
    return clone


@pytest.fixture
def small(run_once, tmp_path) -> Clone:
    """A copy of that clone: what a test changes is gone after it, and no other test has to run it back.

    What it runs is compared with the first run, whose stages each began with a Python of their own.
    """
    return run_once.copy(tmp_path / "project").warm()


def test_every_stage_runs_once_and_the_metrics_are_complete(run_once, small):
    first = re.findall(r"Running stage '([^']+)'", run_once.output)
    assert sorted(first) == sorted(
        ["settings", "code", "demo", "corpus", "labels@top50", "decode@16000", "features@mel", "standardize@mel-top50"]
        + ["report"]
        + [f"{stage}@{name}" for stage in ("train", "evaluate") for name in ("cnn", "linear")]
    )
    metrics = json.loads((small.folder / "metrics/experiments/cnn.json").read_text())
    assert list(metrics) == ["roc_auc", "low", "high", "pr_auc"]
    assert 0 <= metrics["low"] <= metrics["roc_auc"] <= metrics["high"] <= 1
    details = json.loads((small.folder / "metrics/details/cnn.json").read_text())
    assert details["test"]["clips"] == 2
    assert details["training"]["epochs"] == 1
    assert json.loads((small.folder / "metrics/decode/16000.json").read_text())["rejected"] == 0
    assert "| cnn " in (small.folder / "metrics/report.md").read_text()
    shown = small.run("dvc", "metrics", "show")
    assert "experiments/linear.json" in shown.replace(os.sep, "/")
    assert "details" not in shown
    assert max(map(len, shown.splitlines())) < 120


def test_a_second_run_changes_nothing(small):
    lock = (small.folder / "dvc.lock").read_bytes()
    assert small.repro() == []
    assert (small.folder / "dvc.lock").read_bytes() == lock


def test_training_again_changes_no_byte_that_git_or_dvc_holds_and_logs_what_it_took(small):
    held = ["dvc.lock", "metrics/report.md", *(f"metrics/{kind}/cnn.csv" for kind in ("training", "tags", "roc"))]
    held += [
        "metrics/experiments/cnn.json",
        "metrics/details/cnn.json",
        "data/models/cnn/model.safetensors",
        "data/models/cnn/curves.csv",
    ]
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
    waves, features = small.decoded(), small.times("data/features/mel")
    write_mp3(next((small.folder / "corpus/audio/1").glob("*-0-29.mp3")), tone(2, 1234))
    small.repro("features@mel")
    decoded, computed = small.decoded(), small.times("data/features/mel")
    assert {name for name in decoded if decoded[name] != waves[name]} == {"1"}
    assert {name for name in computed if computed[name] != features[name]} == {"1.h5"}
    assert re.search(r"^features mel: 4 clips", small.output, re.M)


def test_a_flipped_bit_in_a_feature_shard_is_mended_and_trains_nothing(small):
    path = small.folder / "data/features/mel/0.h5"
    content, lock = path.read_bytes(), (small.folder / "dvc.lock").read_bytes()
    damaged = bytearray(content)
    damaged[-len(content) // 2] ^= 1
    path.unlink()  # it may be a link into DVC's cache
    path.write_bytes(damaged)
    assert small.repro() == ["features@mel"]
    assert re.search(r"^features mel: 4 clips in .*; 8 were up to date$", small.output, re.M)
    assert path.read_bytes() == content
    assert (small.folder / "dvc.lock").read_bytes() == lock


def test_a_flipped_bit_in_anything_that_the_pipeline_keeps_is_mended(small):
    """Of what is no shard DVC knows the content; the stage that made it, or its own cache, brings it back."""
    lock = (small.folder / "dvc.lock").read_bytes()
    makers = {
        "data/models/cnn/model.safetensors": "train@cnn",
        "data/standardize/mel-top50.json": "standardize@mel-top50",
        "data/labels/top50/labels.csv": "labels@top50",
        "data/waveforms/16000/index.json": "decode@16000",
        "data/code/report": "code",
    }
    before = {name: (small.folder / name).read_bytes() for name in makers}
    for name, content in before.items():  # at once: what is mended above a stage is no reason for it to run
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        (small.folder / name).unlink()  # it may be a link into DVC's cache
        (small.folder / name).write_bytes(damaged)
    small.repro("--no-run-cache")
    for name, stage in makers.items():
        assert f"'{stage}'" in small.output
        assert (small.folder / name).read_bytes() == before[name], name
    assert (small.folder / "dvc.lock").read_bytes() == lock


def test_everything_that_runs_again_gives_the_same_bytes(small):
    """No file that git or DVC hashes holds a time, a host, or anything else that a second run changes."""
    small.commit("as it is")
    before = {path: path.read_bytes() for path in small.folder.glob("metrics/**/*") if path.is_file()}
    small.repro("--force", "--no-run-cache")
    assert small.run("git", "status", "--porcelain", ":!corpus") == ""
    assert "Data and pipelines are up to date." in small.run("dvc", "status")
    assert {path: path.read_bytes() for path in before} == before


def test_waveforms_stand_on_the_disk_once_and_neither_git_nor_dvc_knows_them(small):
    kept = small.decoded()
    outside = [path for path in small.folder.rglob("*") if path.is_file() and small.store not in path.parents]
    contents = [path.read_bytes() for path in outside]
    for path in small.waveforms().values():
        with h5py.File(path) as file:
            wave = file["waveform"][0].tobytes()
        assert wave in path.read_bytes()
        assert not any(wave in content for content in contents)
    assert sorted(kept) == ["0", "1", "c", "d"]
    assert "earmark-waveforms" not in small.run("git", "status", "--short", "--untracked-files=all")
    small.run("dvc", "gc", "--workspace", "--force")
    assert small.decoded() == kept


def test_deleted_waveforms_come_back_where_a_representation_changes_and_not_before(small):
    shutil.rmtree(small.store)
    assert small.repro() == []
    small.repro("--force", "decode@16000", "features@mel")
    assert not small.store.exists()
    before = small.params_now()["representations"]
    small.params(representations={"mel": before["mel"] | {"n_mels": 56}})
    assert small.repro("features@mel") == ["features@mel"]
    assert "lacks them: 4 shards\n" in small.output
    first = small.decoded()
    assert sorted(first) == ["0", "1", "c", "d"]
    small.params(representations={"mel": before["mel"] | {"n_mels": 60}})
    small.repro("features@mel")
    assert small.decoded() == first


def test_an_experiment_in_a_copy_decodes_nothing_that_was_decoded_and_leaves_what_it_decodes(small):
    before, music = small.params_now(), small.folder.parent / "music"
    shutil.copytree(small.folder / "corpus", music)  # the copy has what git holds: an absolute path names the rest
    where = {"audio": str(music / "audio"), "annotations": str(music / "annotations_final.csv")}
    small.params(corpus=before["corpus"] | where)
    small.repro()
    assert "decode 16000 Hz: 0 clips" in small.output
    small.commit("a state to start from")
    kept, held = small.decoded(), list(small.store.rglob("*.h5"))
    output = small.run("dvc", "exp", "run", "--temp", "--set-param", "representations.mel.n_mels=52", "features@mel")
    assert "Running stage 'features@mel'" in output
    assert "Running stage 'decode" not in output
    assert (small.decoded(), list(small.store.rglob("*.h5"))) == (kept, held)
    output = small.run("dvc", "exp", "run", "--temp", "--set-param", "waveforms.16000.samples=29000", "decode@16000")
    assert "decode 16000 Hz: 12 clips" in output
    assert small.decoded() == kept
    assert len(list(small.store.rglob("*.h5"))) == len(held) + 4
    small.params(waveforms={"16000": before["waveforms"]["16000"] | {"samples": 29_000}})
    small.repro("--no-run-cache", "decode@16000")
    assert "decode 16000 Hz: 0 clips" in small.output


WRONG = {
    "representations.mel.hop must be at least 1, got -256": ("representations", "mel", "hop", -256),
    "experiments.cnn.batch: input should be greater than 0, got 0": ("experiments", "cnn", "batch", 0),
    "its place is crossvalidations": ("experiments", "cnn", "system", "mirex-5l-512h-lstm"),
    "experiments.cnn.batch must": ("experiments", "cnn", "batch", 1),
    "system must be one of": ("experiments", "cnn", "system", "mel-2d-cn"),
    "evaluation.resamples": ("evaluation", "resamples", None, 0),
}


def set_wrong(clone, told):
    """Change the setting of which that is told, and no other; return what it was."""
    before = clone.params_now()
    section, key, option, value = WRONG[told]
    changed = {key: value} if option is None else {key: before[section][key] | {option: value}}
    clone.params(**{section: before[section] | changed})
    return before


def test_whatever_is_set_wrong_fails_the_stage_settings_which_says_so(small, monkeypatch):
    monkeypatch.chdir(small.folder)
    for told in WRONG:
        before = set_wrong(small, told)
        with pytest.raises(EarmarkError, match=re.escape(told)):
            judge(small.folder / "params.yaml", small.folder / "judged")
        assert not (small.folder / "judged").exists()
        small.params(**before)


def test_a_wrong_setting_stops_before_any_work_and_before_anything_is_removed(small):
    told = "experiments.cnn.batch must"
    kept = {path: path.read_bytes() for path in small.folder.glob("[dm][ae]t[ar]*/**/*") if path.is_file()}
    assert {"model.safetensors", "report.md", "cnn.csv", "labels.csv"} <= {path.name for path in kept}
    before = set_wrong(small, told)
    assert small.repro(code=255) == []
    assert told in small.output
    assert "Traceback" not in small.output
    assert {path: path.read_bytes() for path in kept if path.exists() and "settings" not in path.parts} == {
        path: content for path, content in kept.items() if "settings" not in path.parts
    }
    small.params(**before)
    assert small.repro() == []


def test_a_corpus_without_mp3s_is_an_error_and_the_old_tables_stay_away(small):
    corpus = yaml.safe_load((small.folder / "params.yaml").read_text())["corpus"]
    (small.folder / "nothing").mkdir()
    small.params(corpus=corpus | {"audio": "nothing"})
    output = small.run(sys.executable, "stages/corpus.py", "--out", "elsewhere", code=1)
    assert "corpus.audio: nothing holds no folder with MP3 files" in output
    assert not (small.folder / "elsewhere").exists()


def test_songs_that_are_cut_into_segments_are_trained_on_all_and_scored_as_one(small):
    waveforms, before = {"16000": {"samples": 10_000, "policy": "segments"}}, small.params_now()
    mel = before["representations"]["mel"] | {"samples": 10_000, "hop": 128, "dtype": "float16"}
    small.params(waveforms=waveforms, representations={"mel": mel})
    small.repro("evaluate@cnn")
    decoded = json.loads((small.folder / "metrics/decode/16000.json").read_text())
    assert (decoded["clips"], decoded["segments"]) == (12, 48)
    metrics = json.loads((small.folder / "metrics/details/cnn.json").read_text())
    assert (metrics["test"]["clips"], metrics["test"]["missing_clips"]) == (2, 0)
    assert len((small.folder / "data/scores/cnn.csv").read_text().splitlines()) == 1 + 2


def test_experiments_on_two_sets_of_labels_stand_in_one_file_and_each_runs_for_its_own(small):
    before = small.params_now()
    top50 = before["labels"]["top50"]
    two = before["labels"] | {"one": top50 | {"top": 1, "clean": False, "split": "song"}}
    also = {"also": LINEAR | {"labels": "one", "system": "linear"}}
    small.params(labels=two, experiments=experiments() | also)
    ran = small.repro()
    assert set(ran) == {"labels@one", "standardize@mel-one", "train@also", "evaluate@also", "report"}, small.output
    of = {name: (small.folder / f"data/labels/{name}/labels.csv").read_text().splitlines() for name in two}
    assert [len(of[name][0].split(",")) - 5 for name in ("top50", "one")] == [3, 1]  # the last one is a checksum
    splits = {name: {line.split(",")[0]: line.split(",")[3] for line in lines[1:]} for name, lines in of.items()}
    assert any(splits["one"][clip] != split for clip, split in splits["top50"].items())
    pairs = json.loads((small.folder / "metrics/comparison.json").read_text())
    assert pairs
    assert not [pair for pair in pairs if "also" in pair]  # other tags: no difference of theirs means anything
    assert "top 1, raw, full, split song" in (small.folder / "docs/reproduction.md").read_text()
    small.params(labels=two | {"one": two["one"] | {"top": 2}}, experiments=experiments() | also)
    assert set(small.repro()) == {"labels@one", "standardize@mel-one", "train@also", "evaluate@also", "report"}


def test_the_values_of_a_recipe_run_the_experiments_that_name_it(small):
    before = small.params_now()
    other = {"slow": before["recipes"]["quick"] | {"epochs": 1}}
    second = {"second": experiments()["cnn"] | {"recipe": "slow"}}
    small.params(recipes=before["recipes"] | other, experiments=experiments() | second)
    small.repro()
    small.commit("two recipes")
    faster = {"slow": other["slow"] | {"learning_rate": 0.01}}
    small.params(recipes=before["recipes"] | faster, experiments=experiments() | second)
    assert small.repro() == ["train@second", "evaluate@second", "report"]
    diff = small.run("dvc", "params", "diff")
    assert "recipes.slow.learning_rate" in diff


def test_two_processes_train_an_experiment_and_its_metrics_are_written_once(small):
    small.environment |= {"EARMARK_DEVICES": "2", "OMP_NUM_THREADS": "1"}
    small.repro("--force", "--single-item", "train@cnn")
    del small.environment["EARMARK_DEVICES"]
    assert len(re.findall(r"^train cnn: \d+ clips in", small.output, re.M)) == 1
    assert sorted(path.name for path in (small.folder / "data/models/cnn").iterdir()) == [
        "curves.csv", "model.safetensors",
    ]  # fmt: skip
    assert len((small.folder / "data/models/cnn/curves.csv").read_text().splitlines()) == 1 + 1
    assert small.repro("evaluate@cnn") in ([], ["evaluate@cnn"])
