"""Every stage of dvc.yaml on a corpus of twelve clips, run alone, disturbed, and run again.

Each stage begins from a state in which all stages have run with other settings: so there is something to lose.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from helpers import ROOT
from helpers.tiny_corpora import RATE, ROWS, Tiny

COMPILER = shutil.which("cc") or shutil.which("gcc")
SHIM = Path(__file__).with_name("failing_disk.c")
SERVER = Path(__file__).with_name("stage_server.py")
SCRIPTS = sorted((ROOT / "stages").glob("*.py"))
WRITES, READS = 1, 2
_MAPPED = 5 * 8 + 512 + 1024  # bytes of failing_disk.c's control


class Server:
    """Runs stages and commands, one at a time. Where there is a C compiler, they see a disk that can fail."""

    def __init__(self, folder: Path, threads: int = 1, workers: int = 2) -> None:
        self.folder = folder
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1", "EARMARK_WORKERS": str(workers),
            "OMP_WAIT_POLICY": "PASSIVE",  # not chosen, and told, while the server starts
            "EARMARK_LOGS": str(folder / "logs"), "PYTHONPATH": os.pathsep.join(sys.path),
            "EARMARK_DEVICE": "cpu",
        }  # fmt: skip
        environment.pop("EARMARK_WAVEFORMS", None)
        if COMPILER:
            shim, control = folder / "failing_disk.so", folder / "disk"
            subprocess.run([COMPILER, "-O1", "-shared", "-fPIC", "-o", shim, SHIM, "-ldl"], check=True)
            control.write_bytes(bytes(_MAPPED))
            environment |= {"LD_PRELOAD": str(shim), "FAILING_DISK": str(control)}
        self._process = subprocess.Popen(
            [sys.executable, SERVER, *SCRIPTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "{}\n", "the server does not start"

    def run(self, folder: Path, command: list[str], **more: Any) -> SimpleNamespace:
        """Run a command in a folder; more: ``kill`` (seconds, signal), ``fault``, ``environment``."""
        said = self.folder / "said"
        request = {"folder": str(folder.resolve()), "command": command, "said": str(said)} | more
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"the server has ended: {command}"
        return SimpleNamespace(**json.loads(answer), said=said.read_text(errors="replace"))

    def close(self) -> None:
        self._process.communicate(timeout=30)


@dataclass(frozen=True)
class Step:
    """A run of a stage: its name, its command, the folder that it begins in, what it leaves there, its seconds."""

    name: str
    command: list[str]
    folder: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    seconds: float

    def begin(self, folder: Path) -> Path:
        """Return a folder in which the stage can run."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return folder

    def strange(self, folder: Path) -> list[str]:
        """Return what is neither as it was before, nor as the stage leaves it; temporary files have names of theirs."""
        found = contents(folder)
        names = self.before.keys() | self.after.keys()
        return sorted(
            name
            for name in found.keys() | names
            if (name not in names and not temporary(name))
            or (name in found and name in names and found[name] not in (self.before.get(name), self.after.get(name)))
            or (name not in found and name in self.before and name in self.after)
        )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def temporary(name: str) -> bool:
    """Whether a name is one of those that files have while they are written."""
    return bool(
        re.search(r"\.tmp$|\.copy$|\.partial(/|$|-journal$)|\.demo\.(partial|old)|\.old/|^data/checkpoints/", name)
    )


def commands(settings: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the command of every run of a stage that dvc.yaml asks for, in its order."""
    for stage, content in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        inner = content.get("do", content)
        sections = content.get("matrix") or ({"": content["foreach"]} if "foreach" in content else {})
        entries = [list(settings.get(section[2:-1]) or {}) for section in sections.values()]
        for chosen in product(*entries):
            key = "-".join(chosen)
            item = dict(zip(sections, chosen, strict=True))
            if "foreach" in content:
                item = settings[content["foreach"][2:-1]][key]
            values = {"key": key} | {f"item.{name}": str(value) for name, value in item.items()}
            text = re.sub(r"\$\{([^}]+)\}", lambda found, v=values: v[found[1]], inner["cmd"])
            _, script, *arguments = text.split()
            yield f"{stage}@{key}" if key else stage, [str(ROOT / script), *arguments]


def write_corpus(folder: Path, earlier: bool) -> dict[str, Any]:
    """Write the corpus and its settings into a folder; earlier: others, so that every stage has something to do."""
    tiny = Tiny(folder)
    if earlier:
        tiny.table("path,tags,artist,split", *(",".join(row).replace("piano", "organ") for row in ROWS))
    seed, bands = (2, 10) if earlier else (1, 8)
    tiny.settings["corpus"] |= {"audio": "audio", "annotations": "table.csv", "shard_clips": 5}
    tiny.settings["waveforms"][str(RATE)]["samples"] = 1_600 + seed
    tiny.settings["representations"]["mel"]["n_mels"] = bands
    shared = {"representation": "mel", "labels": "top"}
    cnn = {"model": "convolutional", "network": {"channels": [4], "pools": [[2, 2]]}, "recipe": "short", "epochs": 3}
    tiny.settings["experiments"]["cnn"] = shared | cnn | {"seeds": [1, 3]}
    tiny.settings["crossvalidations"] = {
        "two": shared | cnn | {"classes": ["organ" if earlier else "piano", "drums"], "folds": 2, "seeds": [1]}
    }
    tiny.settings["evaluation"]["seed"] = seed
    tiny.settings["encoders"] = {}
    tiny.write_settings()
    return tiny.settings


def write_demo(folder: Path, earlier: bool) -> dict[str, Any]:
    """Write the settings of a demo corpus, of which the server renders four clips."""
    settings = write_corpus(folder, earlier)
    settings["corpus"] = {
        "kind": "demo", "audio": "data/demo/audio", "annotations": "data/demo/annotations_final.csv",
        "demo": {"clips": 320, "seed": 2 if earlier else 1},
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    return settings


def steps(
    server: Server,
    folder: Path,
    write: Callable[..., dict[str, Any]] = write_corpus,
    only: str = "",
    without: Collection[str] = (),
) -> list[Step]:
    """Run all stages with the earlier settings, and then with the others; return the second runs.

    only, without: the names of scripts.
    """

    def wanted(settings: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
        for name, command in commands(settings):
            script = Path(command[0]).name
            if script not in without and script in (only or script):
                yield name, command

    place = folder / "place"
    for _, command in wanted(write(place, earlier=True)):
        undisturbed(server, place, command)
    found = []
    for name, command in wanted(write(place, earlier=False)):
        kept = folder / f"before {name}"
        shutil.copytree(place, kept)
        seconds = undisturbed(server, place, command)
        found.append(Step(name, command, kept, contents(kept), contents(place), seconds))
    return found


def whole(server: Server, folder: Path) -> dict[str, bytes]:
    """Run all stages on a corpus that is written into a folder; return what is there afterwards."""
    for _, command in commands(write_corpus(folder, earlier=False)):
        undisturbed(server, folder, command)
    return contents(folder)


def called(server: Server, finished: Path, folder: Path, name: str) -> Step:
    """Return a command of ``earmark`` as a step that begins where all stages have run."""
    command = ["-m", "earmark.cli", *name.split()]
    place = folder / "called"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(finished, place)
    seconds = undisturbed(server, place, command)
    return Step(name, command, finished, contents(finished), contents(place), seconds)


def undisturbed(server: Server, folder: Path, command: list[str]) -> float:
    """Run a stage that must come to its end; return its seconds."""
    ran = server.run(folder, command)
    assert ran.code == 0, f"{command}: {ran}"
    assert not ran.orphans, f"{command} leaves {ran.orphans}"
    return ran.seconds
