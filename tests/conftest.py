"""Synthetic music in MagnaTagATune's layout, and where the optional shared material lies."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # a process per core: torch's own threads, in what tests start too, would wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from helpers.dask_processes import Processes
from helpers.music import write_songs

LONGEST = (  # a minute and more each, most of it in processes of DVC: they begin, the longest first
    "test_pipeline.py",
    "test_sweeps.py",
    "test_sharing.py",
    "test_cluster.py",
    "test_guide.py",
    "test_docs.py",
    "test_digests.py",
    "test_merge.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no core waits for one of them at the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(params=["cpu", "gpu"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which way the transforms take to their values: a CPU's, or that of every other device, on CPU tensors too."""
    from earmark.representations.buffers import as_on_a_gpu

    with as_on_a_gpu() if request.param == "gpu" else nullcontext():
        yield request.param


@pytest.fixture(scope="session", autouse=True)
def _logs_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stages that run in this process, or in one that it starts, leave no log in the working copy."""
    os.environ["EARMARK_LOGS"] = str(tmp_path_factory.mktemp("logs"))
    yield
    del os.environ["EARMARK_LOGS"]


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write ``songs`` songs of two clips each over the folders 0, 1, c and d; tags follow the sound."""

    def make(songs: int = 6, seconds: float = 2.0, where: Path = tmp_path) -> tuple[Path, Path]:
        return write_songs(where, songs, seconds)

    return make


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start the scheduler of a cluster."""
    with ExitStack() as stack:
        (tmp_path / "cluster").mkdir()
        started = Processes(tmp_path / "cluster")
        stack.callback(started.stop)
        yield started


@pytest.fixture
def on_cluster(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Start the scheduler of the cluster that stages then use."""
    monkeypatch.setenv("EARMARK_CLUSTER", processes.address)
    return processes
