"""Run by `stage_runs.py`: it has imported what the stages need, and runs each of them in a fork of itself.

So a moment at which a stage is killed is one of the stage, and not of Python's start. It reads requests and writes
answers, a line of JSON each. What a stage leaves running becomes a child of this process (Linux), and is told.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import mmap
import os
import runpy
import signal
import struct
import sys
import threading
import time
import traceback
from pathlib import Path

LONGEST = 300.0  # seconds
PATIENCE = 10.0  # seconds that what a stage has started may live on
_SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER
_COUNTS = struct.Struct("5q")  # of failing_disk.c: fail_at, count, error, kinds, sticky
_FOLDER, _HIT = 512, 1024


class Disk:
    """What the disk that fails is told, and tells: the file that is mapped by all processes."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123
            self.memory = mmap.mmap(file.fileno(), 0)

    def set(self, folder: str, fail_at: int, error: int, kinds: int, sticky: bool) -> None:
        self.memory[:] = bytes(len(self.memory))
        start = _COUNTS.size
        self.memory[start : start + len(folder.encode())] = folder.encode()
        self.memory[:start] = _COUNTS.pack(fail_at, 0, error, kinds, sticky)

    def found(self) -> tuple[int, str]:
        """How many operations there were, and which one failed."""
        count = _COUNTS.unpack(self.memory[: _COUNTS.size])[1]
        self.memory[: _COUNTS.size] = _COUNTS.pack(-1, 0, 0, 0, 0)
        hit = self.memory[_COUNTS.size + _FOLDER :][:_HIT]
        return count, hit.split(b"\0")[0].decode()


def start(request: dict) -> int:
    """Fork; the child comes back with 0, in its folder, and has the group of processes for itself."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    said = os.open(request["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    os.close(said)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    os.environ.update(request.get("environment", {}))
    return 0


def wait(child: int, kill: list | None) -> int | str:
    """Return the exit code of a child, or that it hung. kill: after how many seconds, and by which signal."""
    begun = time.monotonic()
    if kill is not None:
        time.sleep(kill[0])
        os.killpg(child, kill[1])
    while time.monotonic() < begun + LONGEST:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def orphans() -> list[str]:
    """Wait for all that the child has started; return the commands of what does not end, and end it."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.005)
        except ChildProcessError:
            return []
    left = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    told = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in left]
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
        os.waitpid(int(pid), 0)
    return told


def serve() -> list[str]:
    """Answer requests until there are no more; in a child, return what it is to run."""
    disk = Disk(os.environ["FAILING_DISK"]) if "FAILING_DISK" in os.environ else None
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if disk is not None and request.get("fault"):
            disk.set(request["folder"], **request["fault"])
        begun = time.monotonic()
        child = start(request)
        if not child:
            return request["command"]
        code = wait(child, request.get("kill"))
        answer = {"code": code, "seconds": time.monotonic() - begun, "orphans": orphans()}
        if disk is not None:
            answer["count"], answer["hit"] = disk.found()
        print(json.dumps(answer), flush=True)
    os._exit(0)


def small_demo() -> None:
    """Have the demo corpus rendered with an eightieth of its clips, which are too few of every tag."""
    from earmark.demo import render

    update = render.update
    render.update = lambda target, clips, seed: update(target, clips // 80, seed)
    render.check_counts = lambda _: None


def main() -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for script in sys.argv[1:]:
        runpy.run_path(script, run_name="imported")
    small_demo()
    print("{}", flush=True)
    command = serve()
    os._exit(run(command))


def run(command: list[str]) -> int:
    """Run a script, or ``-m`` and a module, and what Python does at its end; return the exit code.

    Not the end of the C++ libraries, which would wait for threads that a fork does not have.
    """
    code = 0
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


if __name__ == "__main__":
    main()
