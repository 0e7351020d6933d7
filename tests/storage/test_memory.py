"""Freed memory stays with the process, where the C library can do that; what is left is what its groups leave."""

from __future__ import annotations

import resource
import subprocess
import sys

import psutil
import pytest

from earmark.storage import memory

FAULTS = """
import resource, torch
from earmark.storage import memory
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


GAPS = """
import torch
from earmark.storage import memory
assert memory.keep()
def resident():
    return int(open("/proc/self/statm").read().split()[1])
before = resident()
large = [torch.empty(2**24).fill_(1) for _ in range(8)]  # 64 MB each
above = torch.ones(2**24)
del large
held = resident()
assert memory.give_back()
print(before, held, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_what_is_kept_can_be_given_back_though_something_above_it_is_in_use():
    run = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, check=True)
    before, held, after = (int(pages) * resource.getpagesize() for pages in run.stdout.split())
    assert held - before > 9 * 2**26 * 0.9
    assert after - before < 3 * 2**26


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is meant")
def test_a_large_tensor_that_takes_the_place_of_a_freed_one_costs_no_page_faults():
    pages = 10 * 2**26 // resource.getpagesize()
    assert faults("memory.keep()") < pages / 10
    assert faults("True") > pages / 10


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep() is False
    assert memory.give_back() is False


def group(folder, limit, used, cached, *, old=False):
    """What Linux shows of a control group, of version 1 where ``old``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{'total_' * old}inactive_file {cached}\n")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Both versions' folders, in a place of ours."""
    roots = tmp_path / "new", tmp_path / "old"
    monkeypatch.setattr(
        memory, "_GROUPS", [(root, *rest) for root, (_, *rest) in zip(roots, memory._GROUPS, strict=True)]
    )
    membership = tmp_path / "membership"
    return *roots, membership


def test_every_control_group_around_the_process_counts_and_the_files_it_caches_are_left(groups):
    """A job's step without a limit, in a job of 1000 bytes that has 700, of which 300 are cached files."""
    new, _, membership = groups
    group(new / "jobs/7", 1000, 700, 300)
    group(new / "jobs/7/step", "max", 650, 300)
    membership.write_text("0::/jobs/7/step\n")
    assert memory._left_to_groups(membership) == [600]


def test_groups_of_the_first_version_are_read_too_and_other_controllers_are_not(groups):
    _, old, membership = groups
    group(old / "box", 1000, 900, 50, old=True)
    membership.write_text("9:name=systemd:/\n4:memory:/box\n1:cpu:/other\n0::/\n")
    assert memory._left_to_groups(membership) == [150]


def test_a_container_sees_its_own_group_as_the_root(groups):
    new, _, membership = groups
    group(new, 1000, 1100, 0)
    membership.write_text("0::/\n")
    assert memory._left_to_groups(membership) == [0]


def test_without_control_groups_the_systems_memory_counts(groups, monkeypatch):
    assert memory._left_to_groups(groups[2]) == []
    monkeypatch.setattr(memory, "_left_to_groups", lambda _: [])
    assert memory.available() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    monkeypatch.setattr(memory, "_left_to_groups", lambda _: [12, 30])
    assert memory.available() == 12
