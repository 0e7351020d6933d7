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
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from helpers.dask_processes import SLOW
from helpers.features import MEL, extract

from earmark.cluster import connection
from earmark.config import WaveformConfig
from earmark.decode.corpus import decode_corpus
from earmark.decode.waveforms import Waveforms
from earmark.errors import EarmarkError
from earmark.features import cluster
from earmark.storage import shards
from earmark.storage.shards import ShardWriter
from earmark.storage.store import Store

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
    check = connection.choose_workers

    def then_another_joins(*arguments):
        found = check(*arguments)
        on_cluster.worker("--nthreads", "4", preload=OF_ANOTHER_KIND)
        return found

    monkeypatch.setattr(connection, "choose_workers", then_another_joins)
    assert extract(waveforms, tmp_path / "there", MEL) == {"clips": 12, "computed": 12}
    told = capsys.readouterr().err
    assert re.search(r"it computes with .*torch 9\.9, but the run began with .*torch 2\S+:", told)
    monkeypatch.setattr(connection, "choose_workers", check)
    with pytest.raises(EarmarkError, match=r"its workers differ \(.*torch 2\S+; .*torch 9\.9\)"):
        extract(waveforms, tmp_path / "other", MEL)


def test_a_task_whose_chosen_workers_leave_before_they_begin_ends_in_finite_time(
    waveforms, tmp_path, on_cluster, monkeypatch
):
    """The sick one has failed at everything, the other one dies with what it was given."""
    monkeypatch.setattr(connection, "LOOK", 0.5)
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
    check = connection.choose_workers

    def then_another_joins(*arguments):
        found = check(*arguments)
        on_cluster.worker(path=tmp_path / "other")
        return found

    monkeypatch.setattr(connection, "choose_workers", then_another_joins)
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
    monkeypatch.setattr(connection, "PATIENCE", 2)
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
    left = [path.relative_to(tmp_path / "store") for path in (tmp_path / "store").rglob("*") if path.is_file()]
    marks = {entry.fingerprint for entry in waveforms.shards.values()}  # kept for the next representation
    assert {str(path) for path in left} == {f"waveforms/{mark}.h5" for mark in marks}


def test_a_worker_finds_the_waveforms_in_the_store_though_it_cannot_see_the_clients_folder(tmp_path):
    source = tmp_path / "f00.h5"  # as the store of waveforms names it
    with ShardWriter(source, "waveform", 1, (10,), np.int16) as writer:
        writer.append(["a"], np.ones((1, 10), np.int16))
        writer.attributes = {"fingerprint": "f00"}
    store = Store(f"file://{tmp_path / 'store'}")
    task = cluster.FeatureShard(source, tmp_path / "out" / "0.h5", "of the features", 1)
    store.put(source, task.source_name)
    content = source.read_bytes()
    source.unlink()  # on another machine
    cluster.compute_by_store(store, lambda there, target, _: target.write_bytes(there.read_bytes()), task)
    store.get(task.target_name, task.target)
    assert task.target.read_bytes() == content


def test_without_dask_the_error_says_what_to_install(waveforms, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_CLUSTER", "tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EarmarkError, match=r"needs earmark\[distributed\]: pip install distributed"):
        extract(waveforms, tmp_path / "there", MEL)


def test_workers_decode_into_the_store_and_compute_from_it_and_no_waveform_comes_here(
    waveforms, tmp_path, on_cluster, monkeypatch
):
    here = Waveforms(waveforms.folder, waveforms.clips, waveforms.audio)
    monkeypatch.delenv("EARMARK_CLUSTER")
    extract(here, tmp_path / "here" / "mel", MEL)
    monkeypatch.setenv("EARMARK_CLUSTER", on_cluster.address)
    monkeypatch.setenv("EARMARK_STORE", f"file://{tmp_path / 'store'}")
    monkeypatch.setenv("EARMARK_WAVEFORMS", str(tmp_path / "nothing"))
    on_cluster.worker()
    config = WaveformConfig(samples=24_000)
    assert decode_corpus(waveforms.clips, waveforms.audio, 16_000, config, tmp_path / "there")["computed"] == 12
    assert (tmp_path / "there" / "index.json").read_bytes() == (waveforms.folder / "index.json").read_bytes()
    there = Waveforms(tmp_path / "there", waveforms.clips, waveforms.audio)
    assert extract(there, tmp_path / "there" / "mel", MEL)["computed"] == 12
    assert contents(tmp_path / "there" / "mel") == contents(tmp_path / "here" / "mel")
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "there" / "index.json").unlink()  # of another working copy: the store is asked
    assert decode_corpus(waveforms.clips, waveforms.audio, 16_000, config, tmp_path / "there")["computed"] == 0


def test_waveforms_that_are_damaged_are_removed_by_the_worker_and_made_again_by_a_second_run(
    waveforms, tmp_path, on_cluster
):
    on_cluster.worker()
    damaged = waveforms.path("c")
    content = damaged.read_bytes()
    middle = len(content) // 2
    damaged.write_bytes(content[:middle] + bytes([255 - content[middle]]) + content[middle + 1 :])
    with pytest.raises(EarmarkError, match=r"/there/c\.h5: .*a second run of the stage makes it again"):
        extract(waveforms, tmp_path / "there", MEL)
    assert not damaged.exists()
    assert extract(waveforms, tmp_path / "there", MEL)["clips"] == 12
    assert damaged.read_bytes() == content


def changed(content: bytes) -> dict[str, bytes]:
    """What may lie in a store in place of a shard: damaged, cut off, empty."""
    middle = len(content) // 2
    damaged = content[:middle] + bytes([255 - content[middle]]) + content[middle + 1 :]
    return {"damaged": damaged, "cut": content[:middle], "empty": b""}


@pytest.mark.parametrize("how", ["damaged", "cut", "empty", "another"])
def test_waveforms_of_the_store_that_are_damaged_are_removed_and_not_computed_from(waveforms, tmp_path, how):
    store = Store(f"file://{tmp_path / 'store'}")
    task = cluster.FeatureShard(waveforms.path("c"), tmp_path / "out" / "c.h5", "of the features", 2)
    entries = changed(task.source.read_bytes()) | {"another": waveforms.path("d").read_bytes()}
    (tmp_path / "entry").write_bytes(entries[how])
    store.put(tmp_path / "entry", task.source_name)
    worked = []
    with pytest.raises(EarmarkError, match="was damaged, and is removed; a second run of the stage makes it again"):
        cluster.compute_by_store(store, lambda *arguments: worked.append(arguments), task)
    assert not worked
    assert not store.has(task.source_name)
    assert not store.has(task.target_name)


@pytest.mark.parametrize("how", ["damaged", "cut", "empty"])
def test_features_of_the_store_are_compared_with_what_was_asked_for(waveforms, tmp_path, monkeypatch, how):
    """Of an earlier run, or of a worker that was given up; the next run computes them."""
    extract(waveforms, tmp_path / "here", MEL)
    url = f"file://{tmp_path / 'store'}"

    def in_turn(_, work, __, tasks, *, before, **___):  # in place of Dask: here, one after the other
        for task in tasks:
            before(task.item)
            work(task.item)
            yield task.item, None

    monkeypatch.setattr(cluster, "run", in_turn)
    monkeypatch.setenv("EARMARK_CLUSTER", "tcp://nowhere:1")
    monkeypatch.setenv("EARMARK_STORE", url)
    wanted = shards.fingerprint_of(tmp_path / "here" / "c.h5")
    (tmp_path / "entry").write_bytes(changed((tmp_path / "here" / "c.h5").read_bytes())[how])
    Store(url).put(tmp_path / "entry", f"features/{wanted}.h5")
    with pytest.raises(EarmarkError, match=r"/there/c\.h5"):
        extract(waveforms, tmp_path / "there", MEL)
    assert extract(waveforms, tmp_path / "there", MEL)["computed"] > 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
