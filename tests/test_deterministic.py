"""The same corpus and settings give the same bytes of every file: elsewhere, and with more threads and workers."""

from __future__ import annotations

import os

import pytest
from helpers.stage_runs import Server, whole

LONG = bool(os.environ.get("TORTURE"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the whole pipeline in a folder of its own, with so many threads within an operation, and so many workers."""

    def inner(threads, workers):
        folder = tmp_path_factory.mktemp("whole")
        (folder / "server").mkdir()
        server = Server(folder / "server", threads, workers)
        try:
            return whole(server, folder / "corpus")
        finally:
            server.close()

    return inner


@pytest.fixture(scope="module")
def first(run):
    return run(1, 1)


def compared(found, expected):
    """Return the names of the files that are not the same."""
    names = found.keys() | expected.keys()
    return sorted(name for name in names if found.get(name) != expected.get(name))


@pytest.mark.slow
def test_every_file_of_a_second_run_in_another_folder_has_the_same_bytes(run, first):
    assert compared(run(1, 2), first) == []
    kinds = ("waveforms/", "data/features/", "data/models/", "data/scores/", "metrics/experiments/", "report/")
    assert all(any(kind in name for name in first) for kind in kinds)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 4] if LONG else [2])
def test_shards_do_not_depend_on_the_number_of_threads(run, first, threads):
    found = run(threads, threads)
    of_networks = ("data/models/", "data/crossvalidations/", "data/scores/", "metrics/", "report/")
    assert [name for name in compared(found, first) if not name.startswith(of_networks)] == []
