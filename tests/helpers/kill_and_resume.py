"""Run by test_extract.py: kill an extraction at a random moment and restart it, many times over.

Every attempt is a fork of this process, which has imported torch but not used it: so a moment is one of the extraction,
and not of Python's start. Prints a line per trial: how many shards were finished when the signal came.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from earmark.config import RepresentationConfig
from earmark.decode.waveforms import Waveforms
from earmark.features.extract import extract

SETTINGS = RepresentationConfig.model_validate(
    {"kind": "scattering", "rate": 16_000, "samples": 60_000, "T": 2048, "dtype": "float16"}
)


def attempt(waveforms: Path, out: Path, kill_at: tuple[int, float] | None) -> bool:
    """Extract in a process of its own; whether it came to its end.

    kill_at: so many seconds after so many shards are finished the process is killed.
    """
    child = os.fork()
    if child == 0:
        os.environ["OMP_NUM_THREADS"] = "1"
        extract(Waveforms(waveforms, [], Path()), out, SETTINGS)
        os._exit(0)
    if kill_at is not None:
        while len(finished(out)) < kill_at[0]:
            time.sleep(0.002)
        time.sleep(kill_at[1])
        os.kill(child, signal.SIGKILL)  # of a process that has ended but was not waited for: nothing happens
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every shard in its place."""
    found = [path for path in folder.glob("*.h5") if not path.name.startswith(".")] if folder.is_dir() else []
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def main() -> None:
    waveforms, out, trials = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    start = time.monotonic()
    assert attempt(waveforms, out / "undisturbed", None)
    shards = len(finished(out / "undisturbed"))
    each = (time.monotonic() - start) / shards
    expected, moments = contents(out / "undisturbed"), random.Random(20)
    for trial in range(trials):
        folder = out / str(trial)
        came_to_its_end = attempt(waveforms, folder, (moments.randrange(shards), moments.uniform(0, each)))
        before = finished(folder)
        leftovers = len(list(folder.iterdir())) - len(before) if folder.is_dir() else 0
        assert attempt(waveforms, folder, None)
        after = finished(folder)
        assert {name: after[name] for name in before} == before, f"trial {trial}: a finished shard was written again"
        assert contents(folder) == expected, f"trial {trial}: other bytes"
        print(json.dumps({"ended": came_to_its_end, "finished": len(before), "leftovers": leftovers}), flush=True)


main()
