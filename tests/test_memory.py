"""Freed memory stays with the process, where the C library can do that."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from earmark import memory
assert {keep}
for _ in range(20):  # until the heap has found its shape
    torch.empty(2**24).fill_(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.empty(2**24).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: str) -> int:
    run = subprocess.run([sys.executable, "-c", FAULTS.format(keep=keep)], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_a_large_tensor_that_takes_the_place_of_a_freed_one_costs_no_page_faults():
    pages = 10 * 2**26 // resource.getpagesize()
    assert faults("memory.keep()") < pages / 10
    assert faults("True") > pages / 10


def test_elsewhere_it_does_nothing(monkeypatch):
    from earmark import memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep() is False
