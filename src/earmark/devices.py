"""The device that computes: which one EARMARK_DEVICE names, what it is, and how batches come to it and back.

Whatever is asked of a device names it: the GPU in use need not be torch's current one, on whose streams a call without
a device acts.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.errors import EarmarkError
from earmark.storage import memory

Ready = Callable[[], NDArray[np.float32]]  # waits for what a batch became


def device() -> torch.device:
    """EARMARK_DEVICE (``cpu``, ``cuda``, ``cuda:N``, ``mps``), or the GPU where torch sees one, or the CPU.

    A CUDA device has its number. Raises EarmarkError for another name, and for a device that is not here.
    """
    wanted = os.environ.get("EARMARK_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    asked = re.fullmatch(r"(cpu|cuda|mps)|cuda:([0-9]+)", wanted)
    if asked is None:
        raise EarmarkError(f"EARMARK_DEVICE must be cpu, cuda, cuda:N or mps, got {wanted!r}")
    name, number = asked[1] or "cuda", int(asked[2] or 0)
    if name == "cpu":
        return torch.device("cpu")
    if not (torch.cuda if name == "cuda" else torch.backends.mps).is_available():
        raise EarmarkError(
            f"EARMARK_DEVICE must name a device that is here, got {wanted!r}: torch {torch.__version__} sees none of "
            "that kind; its driver, or a build of torch for it, may be missing"
        )
    if name == "mps":
        return torch.device("mps")
    if number >= (count := torch.cuda.device_count()):
        raise EarmarkError(
            f"EARMARK_DEVICE must be at most cuda:{count - 1}, got {wanted!r}: torch sees {count} GPU(s) here, counted "
            "from 0; CUDA_VISIBLE_DEVICES may hide others"
        )
    return torch.device("cuda", number)


def kind(where: torch.device) -> str:
    """Return the kind of a device, on which the bytes of a result may depend: a GPU's model, or a CPU's kind."""
    return torch.cuda.get_device_name(where) if where.type == "cuda" else f"{where.type} {_processor()}"


@cache
def _processor() -> str:
    """Return the machine, the CPU's vendor and its widest vectors: MKL and torch choose their code by them."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    vendor = next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
    return " ".join(filter(None, (platform.machine(), vendor, torch.backends.cpu.get_cpu_capability())))


def free_bytes(where: torch.device) -> int:
    """Return memory that a new batch may use on a device."""
    return int(torch.cuda.mem_get_info(where)[0]) if where.type == "cuda" else memory.available()


def of(module: torch.nn.Module) -> torch.device:
    """Return the device on which a module's weights and buffers lie; the CPU for one that has none."""
    found = next((tensor for held in (module.parameters(), module.buffers()) for tensor in held), None)
    return torch.device("cpu") if found is None else found.device


def synchronize(where: torch.device) -> None:
    """Wait until all that was asked of a device is done."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    elif where.type == "mps":
        torch.mps.synchronize()


def lightning(where: torch.device) -> dict[str, Any]:
    """Return the options that make Lightning's Trainer train on that device alone."""
    return {"accelerator": where.type, "devices": [where.index] if where.type == "cuda" else 1}


def lacks_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory did not suffice; a fault of a GPU speaks of memory as well."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and re.search("out of memory|allocate memory|not enough memory|ALLOC_FAILED", str(error)) is not None
    )


class Copies:
    """Batches to a device and back. On a CUDA GPU they run beside what is computed there, in a stream of their own."""

    def __init__(self, where: torch.device) -> None:
        self.device = where
        self.stream = torch.cuda.Stream(where) if where.type == "cuda" else None  # type: ignore[no-untyped-call]

    def upload(self, waves: NDArray[np.float32]) -> Tensor:
        """Bring a batch to the device, from pinned memory; what is computed there next waits for it."""
        host = torch.from_numpy(waves)
        if self.stream is None:
            return host.to(self.device)
        with torch.cuda.stream(self.stream):
            wave = host.pin_memory().to(self.device, non_blocking=True)
        compute = torch.cuda.current_stream(self.device)
        compute.wait_stream(self.stream)
        wave.record_stream(compute)
        return wave

    def download(self, features: Tensor) -> Ready:
        """Bring features back when they are computed; the next batch need not wait for that, only who calls the result.

        The copy is asked of the stream that computes them, and so is the event that tells when it is done: an event in
        a stream of another device would come at once, before the memory is filled.
        """
        if self.stream is None:
            rows: NDArray[np.float32] = features.cpu().numpy()
            return lambda: rows
        compute = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(compute):  # makes its device the current one, too
            host = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
            host.copy_(features, non_blocking=True)
            there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            there.record(compute)

        def wait() -> NDArray[np.float32]:
            there.synchronize()
            return host.numpy()

        return wait
