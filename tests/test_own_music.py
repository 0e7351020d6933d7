"""The example of docs/own-music.md runs as written, and the other kinds of corpora run through the same stage."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import soundfile as sf
import yaml
from helpers import ROOT
from helpers.music import tone

from earmark import config
from earmark.cli import main
from earmark.corpus.read import read


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/own-music.md").read_text(encoding="utf-8"), re.S)


def stage(folder, name, *arguments):
    command = [sys.executable, str(ROOT / "stages" / f"{name}.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path):
    """Return a project with the corpus section of the page, and with the page's table and music for more artists."""
    (example,) = blocks("csv")
    header, *rows = example.strip().splitlines()
    for i in range(40):
        rows.append(f"artist{i}/x.wav,{('piano', 'drums')[i % 2]}|{('slow', 'fast')[i % 3 == 0]},Artist {i}")
    for row in rows:
        path = tmp_path / "music" / row.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.stack([tone(2, 300 + len(row))] * 2, axis=1), 22_050)
    (tmp_path / "music.csv").write_text("\n".join([header, *rows]))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= yaml.safe_load(blocks("yaml")[0].replace("/data/", f"{tmp_path}/"))
    params["labels"]["top50"]["synonyms"] = str(ROOT / params["labels"]["top50"]["synonyms"])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return tmp_path


def test_the_pages_example_runs_from_the_table_to_waveforms(project, capsys):
    assert main(["corpus", "check", "--params", str(project / "params.yaml")]) == 0
    assert "22050 Hz (43)" in capsys.readouterr().out
    shown = stage(project, "corpus", "--out", "corpus")
    assert "4 tags, 43 songs; no song and no artist is in two splits" in shown
    stage(
        project,
        "labels",
        "top50",
        "--corpus",
        "corpus",
        "--out",
        "labels.csv",
        "--metrics",
        "l.json",
        "--positives",
        "p.csv",
    )
    with (project / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows if row["artist"] == "Ann"} == {
        next(r["split"] for r in rows if r["artist"] == "Ann")
    }
    shown = stage(project, "decode", "16000", "--manifest", "corpus/manifest.csv", "--out", "w", "--metrics", "d.json")
    assert "43 usable, 0 rejected" in shown


@pytest.mark.parametrize("split", ["artist", "song", "panwar-random"])
def test_another_split_is_one_word(project, split):
    corpus = config.load(project / "params.yaml").corpus
    clips, _ = read(corpus.model_copy(update={"split": split}))
    counts = Counter(clip.split for clip in clips)
    assert sum(counts.values()) == 43
    assert counts["train"] > counts["test"] > 0
    assert read(corpus.model_copy(update={"split": split}))[0] == clips
    assert read(corpus.model_copy(update={"split": split, "seed": 2}))[0] != clips


def test_a_folder_per_class_runs_through_the_same_stage(project):
    content = yaml.safe_load((project / "params.yaml").read_text())
    shutil.rmtree(project / "music/ann")
    content["corpus"] |= {"kind": "folders", "annotations": str(project / "music")}
    (project / "params.yaml").write_text(yaml.safe_dump(content))
    assert "41 tags, 41 songs" in stage(project, "corpus", "--out", "corpus")
    (project / "music/artists.csv").write_text("".join(f"artist{i}/x.wav,One\n" for i in range(40)))
    clips, _ = read(config.load(project / "params.yaml").corpus)
    assert {clip.artist for clip in clips} == {"One", "bob/three.flac"}
