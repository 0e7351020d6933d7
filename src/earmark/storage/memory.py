"""The machine's memory: how much is left, and how a process keeps what it has.

On a CPU, giving large tensors back to the system costs more than computing them: glibc maps every block above some size
anew and unmaps it when it is freed, so each large tensor pays a page fault per 4 KiB. Freed blocks that stay with the
process are reused at once; its resident size is then that of its busiest moment.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h
# of version 2 and 1 of Linux' control groups: the folder, the controller in /proc/self/cgroup, the limit and the use
_GROUPS = (
    (Path("/sys/fs/cgroup"), "", "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def keep() -> bool:
    """Let this process keep what it frees; False if its C library cannot (no glibc), which changes speed alone."""
    library = _glibc()
    wanted = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 2**26}
    return library is not None and all(library.mallopt(option, value) == 1 for option, value in wanted.items())


def give_back() -> bool:
    """Return to the system what was freed: small blocks left among it would keep it from being used for larger ones."""
    library = _glibc()
    return library is not None and library.malloc_trim(0) == 1


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "gnu_get_libc_version") else None


def available() -> int:
    """Bytes that this process may still take: the system's, or those of a container or a job if these are fewer."""
    try:
        import psutil  # not where earmark only computes features, on a machine lent for that

        free = int(psutil.virtual_memory().available)
    except ImportError:
        free = 1 << 30
    return min([free, *_left_to_groups(Path("/proc/self/cgroup"))])


def _left_to_groups(membership: Path) -> list[int]:
    """Yield what is left to each control group around this process that has a limit; cached files count as left."""
    if not membership.is_file():
        return []
    found = []
    for line in membership.read_text(encoding="utf-8").splitlines():
        _, controllers, inner = line.split(":", 2)
        for root, controller, limit, used in _GROUPS:
            if controller in controllers.split(","):
                group = root / inner.lstrip("/")
                for folder in (group, *group.parents):
                    if folder.is_relative_to(root) and (folder / limit).is_file():
                        left = _left(folder, limit, used)
                        found += [left] if left is not None else []
    return found


def _left(group: Path, limit: str, used: str) -> int | None:
    """Bytes left to one control group; None without a limit."""
    most = (group / limit).read_text(encoding="ascii").strip()
    if most == "max":
        return None
    counts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    cached = int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))
    return max(0, int(most) - int((group / used).read_text(encoding="ascii")) + cached)
