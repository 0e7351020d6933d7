"""The memory of this process, as Linux counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def resident(key: Literal["VmRSS", "VmHWM"]) -> int:
    """The resident set, or its peak since the last reset, in bytes; the page cache of files does not count.

    Unlike getrusage's, this peak does not begin with that of the process which started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith(key)))
