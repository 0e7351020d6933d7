"""Keep the process's memory mapped: on a CPU, giving large tensors back to the system costs more than computing them.

glibc maps every block above some size anew and unmaps it when it is freed, so each large tensor pays a page fault per
4 KiB. Freed blocks that stay with the process are reused at once; its resident size is then that of its busiest moment.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


def keep() -> bool:
    """Let this process keep what it frees; False where its C library cannot (no glibc), which changes speed alone."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    wanted = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 2**26}
    taken = [library.mallopt(option, value) == 1 for option, value in wanted.items()]
    return all(taken)
