"""A working copy of the project in a temporary folder, with a small corpus and small settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT

COPIED = ("dvc.yaml", "params.yaml", "stages", "src", ".dvcignore", ".gitignore")

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

    @classmethod
    def of_this(cls, folder: Path, **environment: str) -> Clone:
        """The code and settings of this working copy, with a history of its own."""
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        (folder / "metrics/papers").mkdir(parents=True)
        (folder / "metrics/papers/.gitkeep").touch()
        made = cls(folder, **environment)
        made.run("git", "init", "--quiet", "--initial-branch", "main")
        made.run("git", "config", "user.email", "someone@example.org")
        made.run("git", "config", "user.name", "Someone")
        made.run("dvc", "init", "--quiet")
        return made

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
        """Run ``dvc repro``; return the stages that were run."""
        self.output = self.run("dvc", "repro", *arguments, code=code)
        return re.findall(r"Running stage '([^']+)'", self.output)

    def params(self, **sections: object) -> None:
        path = self.folder / "params.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))

    def params_now(self) -> dict[str, Any]:
        """The settings as they are."""
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def times(self, folder: str) -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in (self.folder / folder).glob("*.h5")}


def experiments(**changes: object) -> dict[str, object]:
    cnn = {"representation": "mel", "model": "convolutional", "system": "mel-2d-cnn", "preset": "demo", "epochs": 1}
    return {"cnn": cnn | changes, "linear": {"representation": "mel", "model": "linear"}}
