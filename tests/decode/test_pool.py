"""Files are decoded in processes of their own: what ends such a process costs one file, and no process is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers import bad_decoders

from earmark.decode import pool, worker
from earmark.decode.audio import RejectedError
from earmark.decode.pool import Decoders
from earmark.errors import EarmarkError


@pytest.fixture
def decoders():
    found = Decoders(seconds=0.2, busy=100)
    yield found
    found.close()


def gone(process: int) -> bool:
    return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def soon(true, seconds=20):
    """Wait for what takes an instant; a busy machine may need longer."""
    for _ in range(100 * seconds):
        if true():
            return True
        time.sleep(0.01)
    return False


def test_files_are_decoded_in_another_process_that_is_kept(decoders, tmp_path):
    first, second = (decoders.run(bad_decoders.process, tmp_path / "x.mp3") for _ in range(2))
    assert first == second != os.getpid()
    decoders.close()
    assert gone(first)


@pytest.mark.parametrize(
    ("bad", "more", "reason"),
    [
        (bad_decoders.crash, (), r"the decoder crashed \(SIGSEGV\)"),
        (bad_decoders.crash, (signal.SIGABRT,), r"the decoder crashed \(SIGABRT\)"),
        (bad_decoders.crash, (signal.SIGKILL,), r"the decoder crashed \(SIGKILL: the machine's memory may have run"),
        (bad_decoders.leave, (), r"the decoder crashed \(exit code 3\)"),
        (bad_decoders.compute_for_ever, (), r"the decoder did not end within 0\.2 s of computing"),
        (bad_decoders.take_all_memory, (), r"needs more than \d+\.\d GB of memory; EARMARK_WORKERS=1"),
        (bad_decoders.fail, (), "^the decoder failed: ZeroDivisionError: a header$"),
        (bad_decoders.refuse, (), "^no audio frames$"),
        (bad_decoders.closed, (), "^not readable: Permission denied"),
    ],
)
def test_what_a_file_does_to_the_decoder_is_its_reason_and_the_next_one_is_decoded(
    decoders, tmp_path, bad, more, reason
):
    with pytest.raises(RejectedError, match=reason):
        decoders.run(bad, tmp_path / "x.mp3", *more)
    assert decoders.run(bad_decoders.process, tmp_path / "x.mp3")


def test_a_decoder_that_waits_for_ever_is_ended_by_the_clock(decoders, tmp_path):
    decoders._busy = 2
    with pytest.raises(RejectedError, match=r"the decoder did not end within 0\.4 s$"):
        decoders.run(bad_decoders.sleep_for_ever, tmp_path / "x.mp3")
    assert not decoders._all


def test_a_file_that_crashes_a_process_in_which_others_were_decoded_has_a_second_chance(decoders, tmp_path):
    first, second, third = (decoders.run(bad_decoders.crash_later, tmp_path / "x.mp3") for _ in range(3))
    assert len({first, second, third}) == 3


def test_blocks_come_as_they_are_made_and_once_each_after_a_crash(decoders, tmp_path):
    whole = list(decoders.stream(bad_decoders.blocks, tmp_path / "x.mp3", 5))
    assert [block.tolist() for block in whole] == [[n] * 3 for n in range(5)]
    again = list(decoders.stream(bad_decoders.blocks, tmp_path / "x.mp3", 5, 3))
    np.testing.assert_array_equal(again, whole)
    endless = decoders.stream(bad_decoders.blocks, tmp_path / "x.mp3", 1 << 40)
    next(endless)
    endless.close()  # the process that is still busy with it is not given to the next file
    assert next(decoders.stream(bad_decoders.blocks, tmp_path / "x.mp3", 1)).tolist() == [0] * 3


def test_threads_have_a_process_each_and_no_more_than_the_workers_are_kept(decoders, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_WORKERS", "2")
    streams = [decoders.stream(bad_decoders.blocks, tmp_path / "x.mp3", 1) for _ in range(3)]
    for stream in streams:
        next(stream)
    assert len(decoders._all) == 3
    for stream in streams:
        assert next(stream, None) is None
    assert len(decoders._all) == len(decoders._idle) == 2


def test_who_waits_is_told_when_all_is_ended(decoders, tmp_path):
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(Decoders.run, decoders, bad_decoders.sleep_for_ever, tmp_path / "x.mp3")
        assert soon(lambda: any(process.busy for process in decoders._all))
        decoders.close()
        with pytest.raises(CancelledError):
            waiting.result()
    with pytest.raises(CancelledError):
        decoders.run(bad_decoders.process, tmp_path / "x.mp3")


def test_an_error_begins_nothing_more_and_ends_what_runs(tmp_path):
    begun = []

    def decode(number):
        begun.append(number)
        pool.shared().run(bad_decoders.sleep_for_ever, tmp_path / "x.mp3")

    with pytest.raises(KeyboardInterrupt), pool.threads(1) as threads:  # noqa: PT012
        futures = [threads.submit(decode, number) for number in range(3)]
        assert soon(lambda: any(process.busy for process in pool.shared()._all))
        raise KeyboardInterrupt
    assert begun == [0]
    assert all(future.cancelled() or isinstance(future.exception(), CancelledError) for future in futures)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(tmp_path, end):
    """It is asleep in the decoder, as one is that hangs."""
    code = (
        "import threading, pathlib\nfrom helpers import bad_decoders\nfrom earmark.decode import pool\n"
        "with pool.threads(1) as threads:\n"
        "    print(pool.shared().run(bad_decoders.process, pathlib.Path('x')), flush=True)\n"
        "    threads.submit(pool.shared().run, bad_decoders.sleep_for_ever, pathlib.Path('x')).result()\n"
    )
    path = os.pathsep.join([str(Path(bad_decoders.__file__).parents[1]), str(Path(pool.__file__).parents[2])])
    with subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as parent:  # fmt: skip
        child = int(parent.stdout.readline())
        parent.send_signal(end)
        assert parent.wait(20) != 0
    assert soon(lambda: gone(child))


def test_a_process_of_a_fork_has_its_own(tmp_path):
    ours = pool.shared().run(bad_decoders.process, tmp_path / "x")
    if (child := os.fork()) == 0:
        theirs = pool.shared().run(bad_decoders.process, tmp_path / "x")
        pool.close()
        os._exit(int(theirs == ours))
    assert os.waitpid(child, 0)[1] == 0
    assert pool.shared().run(bad_decoders.process, tmp_path / "x") == ours


def test_a_process_that_does_not_start_is_an_error_and_no_reject(monkeypatch, decoders, tmp_path):
    monkeypatch.setattr(pool, "_SERVE", "raise SystemExit('no soundfile here')")
    with pytest.raises(EarmarkError, match=r"the process that decodes does not start \(.*\): no soundfile here"):
        decoders.run(bad_decoders.process, tmp_path / "x.mp3")


def test_a_large_file_may_take_longer(tmp_path):
    (tmp_path / "x.mp3").write_bytes(b"")
    os.truncate(tmp_path / "x.mp3", 600_000_000)  # ten hours at 128 kb/s
    assert pool._allowed(tmp_path / "x.mp3") == 60 + 6000
    assert pool._allowed(tmp_path / "absent.mp3") == 60


def test_a_process_that_decodes_imports_little():
    code = "import sys, earmark.decode.worker; print(*{'torch', 'h5py', 'pydantic', 'scipy', 'dvc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_arrays_of_any_kind_come_back_as_they_were():
    here, there = (worker.socket.socket(fileno=end.detach()) for end in worker.socket.socketpair())
    content = {"a": np.arange(300_000, dtype=np.int16), "b": np.zeros((0, 3)), "c": np.arange(8.0)[::2], "d": "text"}
    with here, there:
        sender = threading.Thread(target=worker.send, args=(here, content))
        sender.start()
        found = worker.receive(there)
        sender.join()
    assert found["d"] == "text"
    for name in "abc":
        np.testing.assert_array_equal(found[name], content[name])
        assert found[name].dtype == content[name].dtype
    found["a"][0] = 1  # it is the receiver's own
