"""A command ``python`` for clones that runs their stages in forks of a process with torch and the like loaded.

Most of what a stage takes on twelve clips is the loading of packages. The process loads none of earmark: a stage has
the code, settings, folder and environment of the clone that it runs for. All else that is called goes to Python itself.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

FIXED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # read when a library is loaded; another value needs a Python anew
SERVER = Path(__file__).with_name("warm_stage_server.py")


def key(environment: Mapping[str, str]) -> str:
    return "/".join(environment.get(name, "") for name in FIXED)


@functools.cache
def commands(**fixed: str) -> Path | None:
    """Start the process for some values of ``FIXED``; return the folder of the command, or None where none can be."""
    if not (hasattr(os, "fork") and hasattr(os, "pidfd_open")):
        return None
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    place = folder / "socket"
    command = folder / "bin/python"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{Path(__file__)}" "{place}" "{key(fixed)}" "$@"\n')
    command.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if name not in (*FIXED, "PYTHONPATH")}
    environment = inherited | {"MKL_DYNAMIC": "FALSE"} | fixed  # as earmark.waiting has it
    server = subprocess.Popen(
        [sys.executable, SERVER, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "the process for stages does not start"
    atexit.register(end, server, folder)
    return command.parent


def end(server: subprocess.Popen[bytes], folder: Path) -> None:
    """Have the process end: it does so when its input is closed."""
    server.communicate(timeout=30)
    shutil.rmtree(folder, ignore_errors=True)


def main(place: str, threads: str, *arguments: str) -> None:
    """Be the command: hand a stage over, with this process's files, and end as it does."""
    if threads != key(os.environ) or not arguments or not arguments[0].startswith("stages/"):
        os.execv(sys.executable, [sys.executable, *arguments])
    request = json.dumps({"command": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(place)
        socket.send_fds(connection, [b"."], [0, 1, 2])
        connection.sendall(request.encode() + b"\n")
        with connection.makefile() as answer:
            code = int(answer.readline())
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
