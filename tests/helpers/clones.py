"""A working copy of the project in a temporary folder, with a small corpus and small settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from helpers import ROOT, warm_stages
from helpers.music import tone, write_annotations, write_mp3

COPIED = ("dvc.yaml", "params.yaml", "stages", "src", ".dvcignore", ".gitignore", ".gitattributes")

LINEAR = {"representation": "mel", "labels": "top50", "model": "linear"}
SMALL = {
    "corpus": {
        "kind": "magnatagatune",
        "audio": "corpus/audio",
        "annotations": "corpus/annotations_final.csv",
        "demo": {"clips": 400, "seed": 1},
    },
    "waveforms": {"16000": {"samples": 30_000}},
    "representations": {
        "mel": {"kind": "mel", "rate": 16_000, "samples": 28_000, "hop": 256, "n_fft": 512, "n_mels": 48}
    },
    "evaluation": {"resamples": 20, "seed": 1},
}


class Clone:
    """A working copy of the project, and commands that run in it with its own code."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        inherited = {key: value for key, value in os.environ.items() if key != "EARMARK_LOGS"}
        self.environment = inherited | {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder.parent / f"site-{folder.name}"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
        } | environment  # fmt: skip
        self.environment.pop("EARMARK_WAVEFORMS", None)
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a stage reads what the one before has compiled

    @classmethod
    def of_this(cls, folder: Path, **environment: str) -> Clone:
        """The code and settings of this working copy, with a history of its own."""
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        for kept in ("papers", "crossvalidations"):
            (folder / "metrics" / kept).mkdir(parents=True)
            (folder / "metrics" / kept / ".gitkeep").touch()
        made = cls(folder, **environment)
        made.run("git", "init", "--quiet", "--initial-branch", "main")
        made.run("git", "config", "user.email", "someone@example.org")
        made.run("git", "config", "user.name", "Someone")
        made.run("dvc", "init", "--quiet")
        return made

    def copy(self, folder: Path) -> Clone:
        """Another working copy in the same state, with caches and a history of its own."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Clone(folder)

    def warm(self) -> Clone:
        """From now on stages run in forks of a process with their packages loaded: for tests of what else happens."""
        fixed = {name: self.environment[name] for name in warm_stages.FIXED if name in self.environment}
        if folder := warm_stages.commands(**fixed):
            self.environment["PATH"] = f"{folder}{os.pathsep}{self.environment['PATH']}"
        return self

    def commit(self, message: str) -> None:
        """Commit everything but the music."""
        self.run("git", "add", "--all", ":!corpus")
        self.run("git", "commit", "--quiet", "--message", message)

    def small(self, **sections: object) -> None:
        """Settings for the music in the folder ``corpus``, which takes seconds."""
        self.params(**SMALL | {"experiments": experiments()} | sections)

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self, *arguments: str, code: int = 0) -> list[str]:
        """Run ``dvc repro``; return the stages that ran, but ``settings``: any change of params.yaml runs it."""
        self.output = self.run("dvc", "repro", *arguments, code=code)
        return [stage for stage in re.findall(r"Running stage '([^']+)'", self.output) if stage != "settings"]

    def params(self, **sections: object) -> None:
        path = self.folder / "params.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))

    def params_now(self) -> dict[str, Any]:
        """The settings as they are."""
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    @property
    def store(self) -> Path:
        """Where the waveforms lie, as nothing says otherwise."""
        return self.folder / ".dvc/earmark-waveforms"

    def waveforms(self, rate: int = 16_000) -> dict[str, Path]:
        """The files of the waveform shards that the index names, by shard; they need not be there."""
        index = json.loads((self.folder / f"data/waveforms/{rate}/index.json").read_text())
        marks = {name: entry["fingerprint"] for name, entry in index["shards"].items()}
        return {name: self.store / mark[:2] / f"{mark}.h5" for name, mark in marks.items()}

    def decoded(self, rate: int = 16_000) -> dict[str, int]:
        """When each waveform shard that is there was written."""
        return {name: path.stat().st_mtime_ns for name, path in self.waveforms(rate).items() if path.exists()}

    def times(self, folder: str) -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in (self.folder / folder).glob("*.h5")}


def six_songs(folder: Path) -> None:
    """Six songs of two clips each over the splits: training has clips of all three tags, whose sound they follow."""
    rows = []
    for song in range(6):
        for part in range(2):
            high = (song + part) % 2
            path = f"{'01cd01'[song]}/artist_{song}-album-0{song}-title-{29 * part}-{29 * part + 29}.mp3"
            write_mp3(folder / "audio" / path, tone(2, (300, 2400)[high] * (1 + 0.01 * song)))
            rows.append((str(10 + 2 * song + part), [high, 1 - high, part], path))
    write_annotations(folder / "annotations_final.csv", ["high", "low", "loud"], rows)


def experiments(**changes: object) -> dict[str, object]:
    cnn = {"representation": "mel", "labels": "top50", "model": "convolutional", "recipe": "quick", "epochs": 1}
    return {"cnn": cnn | changes, "linear": LINEAR}
