"""Shards computed by a Dask cluster, whatever happens to its workers: real processes on loopback."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from helpers.features import MEL, extract

from earmark.errors import EarmarkError
from earmark.features import cluster, cluster_worker
from earmark.storage.shards import ShardWriter

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


SICK = """
from earmark.features.extract import Extractor
class Opaque(Exception):  # a class that the client cannot know, made from more than it can be made from again
    def __init__(self, one, two):
        super().__init__(one)
FAULTS = {
    "0": RuntimeError("CUDA error: device-side assert triggered\\nCompile with more"), "1": MemoryError(),
    "c": Opaque(1, 2), "d": KeyError("a bug"),
}
def run(self, source, target, *arguments):
    print("fails", target.stem, flush=True)
    raise FAULTS[target.stem]
Extractor.run = run
"""
OF_ANOTHER_KIND = """
from earmark.features import extract
from earmark.config import RepresentationConfig
MEL = RepresentationConfig(kind="mel", rate=16000, samples=20000)
makers = extract.makers(MEL)
print("as", makers["torch"], flush=True)
extract.makers = lambda config: makers | {"torch": "9.9"}
"""


class Processes:
    """A scheduler, and workers that are added one by one; all are killed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        self.address = self._wait(self.scheduler, r"Scheduler at:\s+(tcp://\S+)")

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
                command, cwd=self.folder, env=os.environ | (environment or {}), stdout=output, stderr=output, **more
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


@pytest.fixture
def processes(tmp_path):
    with ExitStack() as stack:
        (tmp_path / "cluster").mkdir()
        started = Processes(tmp_path / "cluster")
        stack.callback(started.stop)
        yield started


@pytest.fixture
def on_cluster(processes, monkeypatch):
    monkeypatch.setenv("EARMARK_CLUSTER", processes.address)
    return processes


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_workers_write_what_one_process_writes_and_a_second_run_does_nothing(
    waveforms, tmp_path, processes, monkeypatch
):
    extract(waveforms, tmp_path / "here", MEL)
    monkeypatch.setenv("EARMARK_CLUSTER", processes.address)
    for _ in range(2):
        processes.worker(preload=SLOW.replace("SECONDS", "0.3"))
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    begun = [re.findall(r"begins (\w)", process.log.read_text()) for process in processes.running[1:]]
    assert all(begun)
    assert sorted(shard for shards in begun for shard in shards) == ["0", "1", "c", "d"]
    (tmp_path / "there" / "c.h5").unlink()
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 2}
    monkeypatch.delenv("EARMARK_CLUSTER")
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 0}


def test_a_worker_that_is_killed_mid_shard_costs_that_shard_alone(waveforms, tmp_path, on_cluster):
    first = on_cluster.worker(preload=SLOW.replace("SECONDS", "0.5"))
    second = on_cluster.worker(preload=SLOW.replace("SECONDS", "0.5"))
    killer = threading.Thread(
        target=lambda: (on_cluster._wait(first, "begins (.)"), time.sleep(0.2), os.kill(first.pid, signal.SIGKILL))
    )
    killer.start()
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}
    killer.join()
    done = re.findall(r"begins (\w)", second.log.read_text())
    lost = re.findall(r"begins (\w)", first.log.read_text())
    assert len(lost) == 1
    assert sorted(done) == ["0", "1", "c", "d"]
    assert sorted(contents(tmp_path / "there")) == ["0.h5", "1.h5", "c.h5", "d.h5"]


def test_whatever_goes_wrong_on_one_worker_another_one_does(waveforms, tmp_path, on_cluster, capsys):
    """An error of any class: a fault of its GPU, lack of memory, one that cannot be read elsewhere, a bug."""
    sick = on_cluster.worker(preload=SICK)
    on_cluster.worker(preload=SLOW.replace("SECONDS", "0.3"))
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}
    assert re.findall("fails", sick.log.read_text())
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("worker ")]
    assert len(told) == 1
    assert re.match(
        r"worker tcp://\S+ cannot compute \S+/there/\w\.h5: (RuntimeError: CUDA|MemoryE|Opaque|KeyE)", told[0]
    )


def test_a_shard_that_every_worker_fails_at_is_named_with_all_workers_and_reasons(waveforms, tmp_path, on_cluster):
    for fault in "0c":
        on_cluster.worker(preload=SICK.replace("[target.stem]", f"['{fault}']"))
    with pytest.raises(EarmarkError) as raised:
        extract(waveforms, tmp_path / "there", MEL)
    assert re.search(r"/there/\w\.h5: on tcp://", str(raised.value))
    reasons = dict(re.findall(r"on (tcp://[\d.:]+\d): (.*?); ", str(raised.value)))
    assert sorted(reasons.values()) == ["Opaque: 1", "RuntimeError: CUDA error: device-side assert triggered"]
    assert str(raised.value).endswith("0 of 4 shards are finished and kept; run the stage again to go on")


def test_a_worker_of_another_kind_that_joins_later_is_refused_task_by_task(
    waveforms, tmp_path, on_cluster, monkeypatch, capsys
):
    on_cluster.worker(preload=SLOW.replace("SECONDS", "1.5"))
    check = cluster._check_workers

    def then_another_joins(*arguments):
        found = check(*arguments)
        on_cluster.worker("--nthreads", "4", preload=OF_ANOTHER_KIND)
        return found

    monkeypatch.setattr(cluster, "_check_workers", then_another_joins)
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}
    told = capsys.readouterr().err
    assert re.search(r"it computes with .*torch 9\.9, but the run began with .*torch 2\S+:", told)
    monkeypatch.setattr(cluster, "_check_workers", check)
    with pytest.raises(EarmarkError, match=r"its workers differ \(.*torch 2\S+; .*torch 9\.9\)"):
        extract(waveforms, tmp_path / "other", MEL)


def test_a_task_whose_chosen_workers_leave_before_they_begin_ends_in_finite_time(
    waveforms, tmp_path, on_cluster, monkeypatch
):
    """The sick one has failed at everything, the other one dies with what it was given."""
    monkeypatch.setattr(cluster, "LOOK", 0.5)
    on_cluster.worker(preload=SICK)
    other = on_cluster.worker(preload=SLOW.replace("SECONDS", "600"))
    killer = threading.Thread(target=lambda: (on_cluster._wait(other, "begins (.)"), other.kill()))
    killer.start()
    with pytest.raises(EarmarkError, match=r"\.h5: on tcp://\S+: \w+.*; no other worker is there to try it; 0 of 4"):
        extract(waveforms, tmp_path / "there", MEL)
    killer.join()


def test_a_worker_that_cannot_tell_what_it_is_leaves_its_tasks_to_others(waveforms, tmp_path, on_cluster):
    broken = "import earmark.devices as d\ndef kind(_): raise RuntimeError('CUDA error: no device')\nd.kind = kind\n"
    on_cluster.worker(preload=broken)
    with pytest.raises(EarmarkError, match=r"none of its workers can compute .*on tcp://\S+: RuntimeError: CUDA error"):
        extract(waveforms, tmp_path / "there", MEL)
    on_cluster.worker(preload=SLOW.replace("SECONDS", "0.2"))
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}


def test_a_late_worker_without_the_package_leaves_its_tasks_to_others(waveforms, tmp_path, on_cluster, monkeypatch):
    (tmp_path / "other" / "earmark").mkdir(parents=True)
    (tmp_path / "other" / "earmark" / "__init__.py").write_text("")
    on_cluster.worker(preload=SLOW.replace("SECONDS", "1"))
    check = cluster._check_workers

    def then_another_joins(*arguments):
        found = check(*arguments)
        on_cluster.worker(path=tmp_path / "other")
        return found

    monkeypatch.setattr(cluster, "_check_workers", then_another_joins)
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}


def test_a_worker_without_the_package_or_with_other_code_is_refused(waveforms, tmp_path, on_cluster):
    on_cluster.worker()
    (tmp_path / "other" / "earmark").mkdir(parents=True)
    (tmp_path / "other" / "earmark" / "__init__.py").write_text("")
    bare = on_cluster.worker(path=tmp_path / "other")
    with pytest.raises(
        EarmarkError, match=r"worker tcp://\S+ cannot import earmark .*install this version of it there"
    ):
        extract(waveforms, tmp_path / "there", MEL)
    assert not (tmp_path / "there").exists()
    bare.kill()
    bare.wait()
    copied = tmp_path / "changed"
    subprocess.run(["cp", "-r", str(ROOT / "src"), str(copied)], check=True)
    halves = copied / "earmark/storage/float16.py"
    halves.write_text(halves.read_text() + "CHANGED = True\n")
    on_cluster.worker(path=copied)
    with pytest.raises(EarmarkError, match=r"has earmark's code \w{12}, not \w{12}; update it there"):
        extract(waveforms, tmp_path / "there", MEL)


def test_a_scheduler_that_goes_away_is_named_and_finished_shards_are_kept(waveforms, tmp_path, on_cluster, monkeypatch):
    worker = on_cluster.worker(preload=SLOW.replace("SECONDS", "1"))

    def kill() -> None:
        on_cluster._wait(worker, "begins .(?s:.*)begins (.)")
        time.sleep(0.4)  # the client hears of the first shard; the second takes a second
        on_cluster.scheduler.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(EarmarkError, match=r"the scheduler has gone away; [12] of 4 shards are finished and kept"):
        extract(waveforms, tmp_path / "there", MEL)
    killer.join()
    worker.kill()
    worker.wait()
    kept = [path for path in (tmp_path / "there").glob("*.h5") if not path.name.startswith(".")]
    assert kept
    monkeypatch.delenv("EARMARK_CLUSTER")
    assert extract(waveforms, tmp_path / "there", MEL)["computed"] == 12 - sum(
        {"0": 4, "1": 4}.get(p.stem, 2) for p in kept
    )
    extract(waveforms, tmp_path / "here", MEL)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_no_scheduler_and_no_worker_are_errors_in_finite_time(waveforms, tmp_path, processes, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 2)
    monkeypatch.setenv("EARMARK_CLUSTER", "tcp://127.0.0.1:9")
    with pytest.raises(EarmarkError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        extract(waveforms, tmp_path / "there", MEL)
    monkeypatch.setenv("EARMARK_CLUSTER", processes.address)
    with pytest.raises(EarmarkError, match="no worker has joined in 2 s; start `dask worker"):
        extract(waveforms, tmp_path / "there", MEL)


def test_workers_that_declare_a_gpu_are_the_only_ones_used(waveforms, tmp_path, on_cluster):
    on_cluster.worker(preload=SLOW.replace("SECONDS", "0"))
    with_gpu = on_cluster.worker("--resources", "GPU=1", preload=SLOW.replace("SECONDS", "0"))
    extract(waveforms, tmp_path / "there", MEL)
    assert sorted(re.findall(r"begins (\w)", with_gpu.log.read_text())) == ["0", "1", "c", "d"]


def test_workers_without_a_shared_folder_go_through_a_store_and_a_full_disk_on_one_is_no_harm(
    waveforms, tmp_path, on_cluster, monkeypatch
):
    monkeypatch.delenv("EARMARK_CLUSTER")
    extract(waveforms, tmp_path / "here", MEL)
    monkeypatch.setenv("EARMARK_CLUSTER", on_cluster.address)
    monkeypatch.setenv("EARMARK_STORE", f"file://{tmp_path / 'store'}")

    def small_quota() -> None:  # a file of 4 x 79 x 40 float32 does not fit
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    full = on_cluster.worker(preload=SLOW.replace("SECONDS", "0.1"), preexec_fn=small_quota)
    on_cluster.worker(preload=SLOW.replace("SECONDS", "0.5"))
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert "File too large" in full.log.read_text()
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_worker_finds_the_waveforms_in_the_store_though_it_cannot_see_the_clients_folder(tmp_path):
    source = tmp_path / "0.h5"
    with ShardWriter(source, "waveform", 1, (10,), np.int16) as writer:
        writer.append(["a"], np.ones((1, 10), np.int16))
        writer.attributes = {"fingerprint": "of the waveforms"}
    store = cluster.Store(f"file://{tmp_path / 'store'}")
    task = cluster.Task(source, tmp_path / "out" / "0.h5", "of the features", 1)
    store.put(source, task.source_name)
    content = source.read_bytes()
    source.unlink()  # on another machine
    cluster_worker.run_by_store(store, lambda there, target, _: target.write_bytes(there.read_bytes()), task)
    store.get(task.target_name, task.target)
    assert task.target.read_bytes() == content


def test_an_error_is_told_in_one_line_and_by_its_kind_unless_it_was_written_for_users():
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert cluster_worker.told(EarmarkError("a: b\nc")) == "a: b\nc"
    assert cluster_worker.told(OSError(28, "No space left")) == "[Errno 28] No space left"
    assert cluster_worker.told(MemoryError()) == "MemoryError"
    assert cluster_worker.told(RuntimeError("one\ntwo")) == "RuntimeError: one"
    assert cluster_worker.told(MuteError()) == "MuteError"


def test_without_dask_the_error_says_what_to_install(waveforms, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_CLUSTER", "tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EarmarkError, match=r"needs earmark\[distributed\]: pip install distributed"):
        extract(waveforms, tmp_path / "there", MEL)


def test_a_store_on_s3_holds_whole_files_or_none(tmp_path, monkeypatch):
    pytest.importorskip("moto", reason="needs moto, of earmark[test]")
    from test_sharing import KEYS, s3_server

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "a").write_bytes(b"a shard")
    with s3_server() as url:
        import boto3

        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="shards")
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = cluster.Store("s3://shards/earmark")
        assert not store.has("features/x.h5")
        store.put(tmp_path / "a", "features/x.h5")
        assert store.has("features/x.h5")
        assert [name.rpartition("/")[2] for name in store.files.find(store.root)] == ["x.h5"]
        store.get("features/x.h5", tmp_path / "deep" / "b")
        assert (tmp_path / "deep" / "b").read_bytes() == b"a shard"
        store.remove("features/x.h5")
        assert not store.has("features/x.h5")
        with pytest.raises(FileNotFoundError):
            store.get("features/x.h5", tmp_path / "deep" / "c")
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["b"]
