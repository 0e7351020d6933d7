"""How torch's threads wait for each other: awake on an idle machine, asleep on one with other work.

The threads of an operator (OpenMP's, libgomp) meet at its end. Who comes first spins, which is quickest where every
thread has a core to itself. Beside a busy process one of them has none: it comes late, and all the others burn what it
needs. The policy is read when the library is loaded; so a stage imports this module before it imports torch, and what
is chosen there holds until it ends. No result depends on it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from earmark import progress

VARIABLE = "OMP_WAIT_POLICY"
# MKL takes fewer threads on a busy machine, unless it is told not to; then it adds in another order, and the last bits
# of a training are others.
STEADY = {"MKL_DYNAMIC": "FALSE"}
OWN = (VARIABLE, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # whoever sets one of these has chosen
BUSY = 0.5  # cores
SAMPLE = 0.1  # seconds
_TIMES = Path("/proc/stat")
_IDLE = (3, 4)  # columns of a core: idle, and idle while it waits for a disk


def choose(stage: str) -> str | None:
    """Let torch's threads sleep while they wait if other processes keep this machine busy, and print a line then.

    Return the policy, or None if the choice is torch's own: the machine is idle, torch is loaded already, it has one
    thread, the user has chosen, or the system does not tell how busy it is.
    """
    for name, value in STEADY.items():
        os.environ.setdefault(name, value)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    alone = os.environ.get("OMP_NUM_THREADS") == "1" or len(cores) == 1
    if alone or "torch" in sys.modules or any(name in os.environ for name in OWN) or not _TIMES.is_file():
        return None
    before = _times()
    time.sleep(SAMPLE)
    busy = busy_cores(before, _times(), cores)
    if busy < BUSY:
        return None
    os.environ[VARIABLE] = "PASSIVE"
    progress.say(stage, f"other processes keep {busy:.1f} of {len(cores)} cores busy: {VARIABLE}=PASSIVE is set")
    return "PASSIVE"


def busy_cores(before: Mapping[int, list[int]], after: Mapping[int, list[int]], cores: set[int]) -> float:
    """Return how many of some cores were busy between two readings of their times.

    >>> busy_cores({0: [5, 0, 0, 5, 0], 1: [0, 0, 0, 9, 1]}, {0: [15, 0, 0, 5, 0], 1: [0, 0, 0, 18, 2]}, {0, 1})
    1.0
    """
    found = 0.0
    for core in cores & set(before) & set(after):
        spent = [late - early for early, late in zip(before[core], after[core], strict=True)]
        if total := sum(spent):
            found += 1 - sum(spent[column] for column in _IDLE) / total
    return found


def _times() -> dict[int, list[int]]:
    """Return what Linux has counted of each core: user, nice, system, idle, waiting for a disk, ... (proc(5))."""
    lines = [line.split() for line in _TIMES.read_text(encoding="ascii").splitlines()]
    return {int(key[3:]): [int(v) for v in values[:8]] for key, *values in lines if key[:3] == "cpu" and key[3:]}


choose(Path(sys.argv[0]).stem)
