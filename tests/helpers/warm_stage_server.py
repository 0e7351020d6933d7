"""Run by `warm_stages.py`: it has loaded what stages import of others, and runs each stage in a fork of itself."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from stage_server import run

PACKAGES = (
    "h5py", "numpy", "pydantic", "pytorch_lightning", "scipy.signal", "scipy.stats", "sklearn.linear_model",
    "sklearn.metrics", "sklearn.preprocessing", "soundfile", "soxr", "torch", "torchmetrics", "yaml",
)  # fmt: skip


def serve(listener: socket.socket) -> tuple[list[str], dict[str, str]]:
    """Answer each request in a process of its own until the input ends; in the fork for a stage, return the request."""
    answering: set[int] = set()
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        answering -= {child for child in answering if os.waitpid(child, os.WNOHANG)[0]}
        if 0 in ready:
            os._exit(0)
        connection, _ = listener.accept()
        child = os.fork()
        if not child:
            listener.close()
            return attend(connection)
        answering.add(child)
        connection.close()


def attend(connection: socket.socket) -> tuple[list[str], dict[str, str]]:
    """Fork for the stage, and tell its exit code; who asked and is gone takes the stage along."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as lines:
        request = json.loads(lines.readline())
    stage = os.fork()
    if not stage:
        os.setpgid(0, 0)
        connection.close()
        for descriptor, file in enumerate(files):
            os.dup2(file, descriptor)
            os.close(file)
        os.chdir(request["folder"])
        return request["command"], request["environment"]
    for file in files:
        os.close(file)
    ended = os.pidfd_open(stage)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.killpg(stage, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(stage, 0)[1])
    if ended in ready:
        connection.sendall(f"{code}\n".encode())
    os._exit(0)


def main(place: str) -> None:
    for name in PACKAGES:
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen(16)
    print("ready", flush=True)
    command, environment = serve(listener)
    os.environ.clear()
    os.environ.update(environment)
    own = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [str(Path(command[0]).resolve().parent), *own]  # in place of this file's folder
    os._exit(run(command))


if __name__ == "__main__":
    main(sys.argv[1])
