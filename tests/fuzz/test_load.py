"""Much of everything: computing time is linear, memory bounded, and files are closed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import ROOT, load
from helpers.mutation import TORTURE

# A size, how many times as much is done then in the long form, and how many bytes more may be taken for each one more.
CASES = {
    "files_in_one_folder": (2_000, 100, 6_000),
    "rows": (10_000, 100, 6_000),
    "decode_hours": (2, 120, 100_000),  # tenths of an hour
    "corpus_check": (200, 100, 6_000),
    "tags": (5_000, 10, 40_000),  # a table of 2,000 clips by so many tags
    "experiments": (100, 10, 100_000),
    "report": (100, 10, 100_000),  # of so many experiments
    "predict_hours": (2, 30, 2_000_000),
    "predict_files": (100, 100, 10_000),
}
SHORT = ("rows", "decode_hours")  # they import no torch
BASE = 150 << 20  # bytes that may be more in any case: caches that fill up once


class Taken(NamedTuple):
    """seconds: of computing. peak: bytes, of the largest process. handles: open files."""

    seconds: float
    peak: int
    handles: int


def taken(case: str, size: int, folder: Path) -> Taken:
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, load.__file__, case, str(size), str(folder)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = folder / "said"
    with said.open("w") as output, subprocess.Popen(
        command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder
    ) as process:  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)  # subprocess does not tell what a process has used
        process.returncode = os.waitstatus_to_exitcode(status)
    told = said.read_text()
    assert process.returncode == 0, told
    shutil.rmtree(folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(max(seconds, used.ru_utime + used.ru_stime), used.ru_maxrss * 1024, int(told.split()[-1]))


@pytest.mark.parametrize("case", CASES)
def test_ten_and_a_hundred_times_as_much_takes_no_more_than_that(case, tmp_path):
    if not TORTURE and case not in SHORT:
        pytest.skip("make torture does it")
    size, times, each = CASES[case]
    sizes = (size, size * times // 10, size * times) if TORTURE else (size // 2, size * 2)
    found = [taken(case, one, tmp_path / str(one)) for one in sizes]
    if log := os.environ.get("TORTURE_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"case": case, "sizes": sizes, "taken": found}) + "\n")
    first, last = found[0], found[-1]
    assert last.peak - first.peak < BASE + each * (sizes[-1] - sizes[0]), found
    assert last.seconds < 2 * sizes[-1] / sizes[0] * max(1.0, first.seconds), found
    assert last.handles < first.handles + 20, found
