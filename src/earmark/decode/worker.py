"""A process of its own in which audio files are decoded: what a damaged file does to it, it does to nothing else.

It talks with the process that started it over a socket (``pool``). It imports what decoding needs, and no more: it is
ready in a tenth of a second.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from earmark.decode.bytes_of_file import memory_file
from earmark.decode.reader import DiskError, RejectedError, unreadable
from earmark.storage import memory

READY, ITEM, LAST, END = "ready", "item", "last", "end"
REJECTED, DISK, MEMORY, FAILED = "rejected", "disk", "memory", "failed"
_SIZES = struct.Struct("<QQ?")  # of the pickle, how many arrays there are, and whether they lie in shared memory
SHARED = 4 << 20  # bytes of memory that both ends share: two clips of half a minute


def serve(descriptor: int, most: int, memory_file: int) -> None:
    """Decode what is asked for, one file after the other, until standard input ends, as the process behind it does.

    A request is (function, arguments, CPU seconds). The answers are READY once, and then for each request an ITEM per
    value that the function yields, and END; or LAST for what it returns; or why there is no more. most: bytes that this
    process may take. memory_file: SHARED bytes in which the arrays of a LAST value lie, if they fit; the next request
    says that they have been taken. More CPU seconds than were allowed end the process by SIGXCPU.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process at the other end, which ends this one
    _limit(most)
    memory.keep()  # the next file takes as much
    channel = socket.socket(fileno=descriptor)
    shared = mmap.mmap(memory_file, SHARED)
    threading.Thread(target=_end_with_input, daemon=True).start()
    send(channel, (READY, None))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # libmpg123 prints notes there that name no file
    while True:
        function, arguments, seconds = receive(channel)
        allowed = math.ceil(time.process_time() + seconds)
        with contextlib.suppress(ValueError, OSError):  # the user's own limit is lower
            resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        for answer in _answers(function, arguments):
            send(channel, answer, shared if answer[0] == LAST else None)


def _end_with_input() -> None:
    """End this process with the one that started it, even in the middle of a file."""
    os.read(0, 1)
    os._exit(0)


def _answers(function: Any, arguments: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    try:
        found = function(*arguments)
        if isinstance(found, Iterator):
            for item in found:
                yield ITEM, item
            yield END, None
        else:
            yield LAST, found
    except (RejectedError, OSError) as error:
        why = unreadable(error) if isinstance(error, OSError) else error
        yield DISK if isinstance(why, DiskError) else REJECTED, str(why)
    except MemoryError:
        yield MEMORY, None
    except Exception as error:
        yield FAILED, f"{type(error).__name__}: {error}".partition("\n")[0]


def _limit(most: int) -> None:
    """Bound the memory of this process, and offer it first where the machine runs out; it leaves no core files."""
    for kind, limit in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
            resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def shared_file() -> int:
    """Return the descriptor of SHARED bytes that two processes may map into their memory."""
    if (number := memory_file("decoded")) is None:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    os.truncate(number, SHARED)
    return number


def send(channel: socket.socket, content: object, shared: mmap.mmap | None = None) -> None:
    """Send a value; its arrays are put into shared memory, if there is any and they fit, or sent as they lie."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(content, protocol=5, buffer_callback=buffers.append)
    arrays = [buffer.raw() for buffer in buffers]
    sizes = struct.pack(f"<{len(arrays)}Q", *(array.nbytes for array in arrays))
    there = shared if sum(array.nbytes for array in arrays) <= SHARED else None
    if there is not None:
        there.seek(0)
        for array in arrays:
            there.write(array)
    channel.sendall(_SIZES.pack(len(body), len(arrays), there is not None) + sizes + body)
    for array in arrays if there is None else []:
        channel.sendall(array)


def receive(channel: socket.socket, shared: mmap.mmap | None = None) -> Any:
    """Return the value that ``send`` has sent; what lies in shared memory is copied. EOFError if nobody is there."""
    length, count, within = _SIZES.unpack(_read(channel, _SIZES.size))
    sizes = struct.unpack(f"<{count}Q", _read(channel, 8 * count))
    body = _read(channel, length)
    if within and shared is not None:
        there, ends = np.frombuffer(shared, np.uint8), itertools.accumulate(sizes)
        buffers = [there[end - size : end].copy().data for size, end in zip(sizes, ends, strict=True)]
    else:
        buffers = [_read(channel, size) for size in sizes]
    return pickle.loads(body, buffers=buffers)


def _read(channel: socket.socket, size: int) -> memoryview:
    found = np.empty(size, np.uint8).data  # uninitialised, unlike a bytearray
    done = 0
    while done < size:
        more = channel.recv_into(found[done:])
        if not more:
            raise EOFError
        done += more
    return found
