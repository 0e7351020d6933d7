"""Run every stage at the size of a large corpus, with music that is at hand, and measure what it takes.

``tables`` builds the layout of MagnaTagATune by hard links to the clips of a folder, as many as its table has rows;
``tiny`` builds a corpus of very short clips in many folders, which shows what grows with their number. Both make a
working copy of the project in which DVC runs one stage after another, and measure each.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from earmark.bench import watched
from earmark.bench.watched import Taken
from earmark.environment import whole
from earmark.errors import EarmarkError, explained
from earmark.files import markdown_table, write_text
from earmark.storage import room

PROJECT = Path(__file__).parents[3]
EXPERIMENTS = ("scat-5l-512h-gru", "mel-2d-cnn")
COPIED = ("dvc.yaml", ".dvcignore", "stages", "src")
TINY_RATE, TINY_SAMPLES = 8_000, 2_000
_SOURCES = 100  # different sounds of a tiny corpus; the others are links to these


def arguments() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True, metavar="MODE")
    tables = modes.add_parser("tables", help="as many clips as a table of MagnaTagATune's form has rows")
    tables.add_argument(
        "--tables", type=Path, required=True, metavar="FILE", help="annotations_final.csv, or its folder"
    )
    tables.add_argument("--audio", type=Path, required=True, help="a folder with MP3s, at any depth")
    tables.add_argument("--clips", type=whole, help="so many rows, evenly spaced (default: all)")
    tables.add_argument(
        "--representations", nargs="+", default=[], metavar="NAME", help="beside those of the trainings"
    )
    tiny = modes.add_parser("tiny", help="many clips of a quarter of a second")
    tiny.add_argument("--clips", type=whole, default=1_000, help="default: %(default)s")
    tiny.add_argument("--shards", type=whole, help="folders (default: one for 62 clips)")
    for mode in (tables, tiny):
        mode.add_argument("--to", type=Path, required=True, help="an empty folder, on the disk of the music")
        mode.add_argument("--steps", type=whole, default=20, help="of a training's epoch (default: %(default)s)")
        mode.add_argument("--into", type=Path, metavar="FILE", help="write the table into a page, in place of the last")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Build the corpus and the working copy, run all stages, and print the table."""
    args = arguments().parse_args(argv)
    with explained():
        if args.to.exists() and any(args.to.iterdir()):
            raise EarmarkError(f"--to must be an empty folder, got {args.to}: the last rehearsal's may be deleted")
        settings = of_tables(args) if args.mode == "tables" else of_tiny_clips(args)
        working_copy(args.to, settings, args.steps)
        rows = []
        for name, command in commands(settings):
            taken = watched.run(command, args.to, environment(args.to), args.to / "audio")
            rows.append(row(name, taken))
            print(*rows[-1], sep="  ", flush=True)
        title = f"{settings['corpus']['name']}, {args.steps} steps of each training"
        text = f"{title}\n\n{markdown_table(rows, HEADER)}"
        print(f"\n{text}", end="")
        if args.into is not None:
            insert(args.into, args.mode, text)


HEADER = ("stage", "seconds", "peak memory", "disk after", "peak disk")


def row(name: str, taken: Taken) -> tuple[str, ...]:
    """Return a row of the table."""
    memory, disk, peak = map(room.in_words, (taken.rss, taken.disk, taken.peak))
    return name, f"{taken.seconds:.1f}", memory, disk, peak


def of_tables(args: argparse.Namespace) -> dict[str, Any]:
    """Link music for the rows of a table, and return the settings of the rehearsal."""
    table = args.tables
    if table.is_dir():
        table = next(iter(sorted(table.glob("annotations*.csv"))), table / "annotations_final.csv")
    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    if args.clips is not None:
        chosen = np.linspace(0, len(rows) - 1, min(args.clips, len(rows))).astype(int)
        rows = [rows[number] for number in chosen]
    music = sorted(path for path in args.audio.rglob("*.mp3") if path.stat().st_size)
    if not music:
        raise EarmarkError(f"--audio: {args.audio} holds no MP3; `dvc repro demo` renders some into data/demo/audio")
    link(music, args.to / "audio", (cells[-1] for cells in rows))
    with (args.to / "annotations.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([header, *rows])
    settings = own_settings()
    heard = {settings["experiments"][name]["representation"] for name in EXPERIMENTS} | {*args.representations}
    settings["representations"] = {name: settings["representations"][name] for name in sorted(heard)}
    settings["experiments"] = {name: settings["experiments"][name] | {"epochs": 1} for name in EXPERIMENTS}
    name = f"{len(rows):,} clips in the layout of MagnaTagATune"
    places = {"audio": "audio", "annotations": "annotations.csv"}
    return settings | {"corpus": {"kind": "magnatagatune", "name": name, **places}}


def of_tiny_clips(args: argparse.Namespace) -> dict[str, Any]:
    """Write short sounds, link as many clips to them as are wanted, and return the settings of the rehearsal."""
    shards = args.shards or max(3, args.clips // 62)
    sources = args.to / "sounds"
    sources.mkdir(parents=True)
    draw = np.random.default_rng(1)
    for number in range(min(_SOURCES, args.clips)):
        noise = draw.normal(0, 0.1, TINY_SAMPLES).astype(np.float32)
        soundfile.write(sources / f"{number:03}.wav", noise, TINY_RATE)
    paths = [f"{number % shards:05}/{number:07}.wav" for number in range(args.clips)]
    link(sorted(sources.iterdir()), args.to / "audio", paths)
    tags = ("piano", "drums", "voice")
    lines = [f"{path},{tags[n % 3]}|{tags[n // 3 % 3]},artist {n % shards}" for n, path in enumerate(paths)]
    write_text(args.to / "table.csv", "\n".join(["path,tags,artist", *lines]) + "\n")
    settings = own_settings()
    mel = {"kind": "mel", "rate": TINY_RATE, "samples": TINY_SAMPLES, "n_fft": 128, "hop": 100, "n_mels": 16}
    own = {"representation": "mel", "labels": "tags", "recipe": "quick-recurrent", "epochs": 1, "excerpt": 1.0}
    network = {"cell": "gru", "layers": 1, "units": 16}
    return settings | {
        "corpus": {
            "kind": "table", "name": f"{args.clips:,} tiny clips in {shards:,} folders", "audio": "audio",
            "annotations": "table.csv", "split": "artist",
        },
        "labels": {"tags": {"top": 3, "clean": False, "synonyms": settings["labels"]["top50"]["synonyms"]}},
        "waveforms": {str(TINY_RATE): {"samples": TINY_SAMPLES, "min_seconds": 0.1}},
        "representations": {"mel": mel},
        "experiments": {
            "linear": {"representation": "mel", "labels": "tags", "model": "linear"},
            "gru": own | {"model": "recurrent", "network": network},
        },
    }  # fmt: skip


def own_settings() -> dict[str, Any]:
    """Return the project's params.yaml."""
    settings: dict[str, Any] = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    return settings


def link(music: Sequence[Path], folder: Path, paths: Iterator[str] | Sequence[str]) -> None:
    """Give the files of ``music``, in turn, the paths below a folder as further names."""
    for number, path in enumerate(paths):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(music[number % len(music)].resolve(), place)
        except OSError as error:
            raise EarmarkError(
                f"{place} cannot be a hard link ({error}): --to must lie on the disk of the music"
            ) from None


def working_copy(folder: Path, settings: dict[str, Any], steps: int) -> None:
    """Make a DVC project of this code with other settings, in which trainings end after a few steps."""
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    stages = (folder / "dvc.yaml").read_text(encoding="utf-8")
    limited = stages.replace("python stages/train.py", f"python -m earmark.bench.few_steps {steps} stages/train.py")
    write_text(folder / "dvc.yaml", limited.partition("\nplots:")[0] + "\n")
    write_text(folder / "params.yaml", yaml.safe_dump(settings, sort_keys=False))
    for kept in ("papers", "crossvalidations"):
        (folder / "metrics" / kept).mkdir(parents=True)
    (folder / "docs").mkdir()
    subprocess.run(["dvc", "init", "--no-scm", "--quiet"], cwd=folder, env=environment(folder), check=True)
    own = (PROJECT / ".dvc/config").read_text(encoding="utf-8")
    write_text(folder / ".dvc/config", own.replace("[core]\n", "[core]\n    no_scm = true\n"))


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of the stages: their own code, and a store of waveforms of their own."""
    kept = {key: value for key, value in os.environ.items() if key not in ("EARMARK_WAVEFORMS", "EARMARK_LOGS")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PYTHONPATH": str((folder / "src").absolute()), "PATH": path, "DVC_NO_ANALYTICS": "1"}


def commands(settings: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield each stage, in the order of dvc.yaml, with its command, and at the end a run that has nothing to do."""
    labels = next(iter(settings["labels"]))
    stages = ["settings", "code", "demo", "corpus", f"labels@{labels}"]
    stages += [f"decode@{rate}" for rate in settings["waveforms"]]
    stages += [f"features@{name}" for name in settings["representations"]]
    stages += [f"standardize@{name}-{labels}" for name in settings["representations"]]
    stages += [f"{stage}@{name}" for name in settings["experiments"] for stage in ("train", "evaluate")]
    for stage in (*stages, "report"):
        yield stage, ["dvc", "repro", "--single-item", stage]
    yield "nothing to do", ["dvc", "repro"]


def insert(page: Path, name: str, text: str) -> None:
    """Write a text between the marks ``<!-- name -->`` and ``<!-- /name -->`` of a page, or with them at its end."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    block = f"{begin}\n{text}{end}"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    write_text(page, marked.sub(lambda _: block, old) if marked.search(old) else f"{old}\n{block}\n")


if __name__ == "__main__":
    main()
