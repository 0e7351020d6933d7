"""A scheduler of Dask and its workers, as processes on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from helpers import ROOT

SLOW = """
import time
from earmark.features.extract import Extractor
if not hasattr(Extractor, "original"):  # Dask runs this more than once
    Extractor.original = Extractor.run
def run(self, source, target, *arguments):
    print("begins", target.stem, flush=True)
    time.sleep(SECONDS)
    self.original(source, target, *arguments)
Extractor.run = run
"""


class Processes:
    """A scheduler, and workers that are added one by one; all are killed at the end."""

    def __init__(self, folder: Path, protocol: str = "tcp", environment: Mapping[str, str] | None = None) -> None:
        self.folder, self.running, self.environment = folder, [], environment or {}
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show", "--protocol", protocol
        )
        self.address = self._wait(self.scheduler, rf"Scheduler at:\s+({protocol}://\S+)")

    def worker(self, *options: str, path: Path | str = ROOT / "src", preload: str = "", **more) -> subprocess.Popen:
        if preload:
            script = self.folder / f"preload_{len(self.running)}.py"
            script.write_text(preload)
            options = (*options, "--preload", str(script))
        started = self._start(
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard", *options,
            environment={"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}, **more,
        )  # fmt: skip
        self._wait(started, "(Registered to)")
        return started

    def _start(self, what: str, *arguments: str, environment: dict[str, str] | None = None, **more) -> subprocess.Popen:
        log = self.folder / f"{what}-{len(self.running)}.log"
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | self.environment | (environment or {}),
                stdout=output,
                stderr=output,
                **more,
            )
        process.log = log
        self.running.append(process)
        return process

    def _wait(self, process: subprocess.Popen, pattern: str, seconds: float = 40) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            if found := re.search(pattern, process.log.read_text()):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} in\n{process.log.read_text()}")

    def stop(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
