"""A machine with two GPUs, of which torch's current one is the first: every copy waits in its stream until it is run.

Work is queued on a stream and done when an event behind it, or the device, is waited for. Memory that nothing has
written yet holds NaN. What is asked without a device goes to the current one, as in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

COUNT = 2
GB = 2**30


class Stream:
    def __init__(self, device: torch.device | int | None = None, machine: Machine | None = None) -> None:
        self.machine = machine
        self.index = machine.index(device)
        self.queue: list[Callable[[], object]] = []

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self.index)

    def run(self, until: object = None) -> None:
        """Do what is queued, all of it or up to and including ``until``."""
        while self.queue:
            work = self.queue.pop(0)
            work()
            if work is until:
                return

    def wait_stream(self, other: Stream) -> None:
        self.queue.append(lambda: other.run())


class Event:
    def __init__(self, machine: Machine) -> None:
        self.machine, self.stream, self.mark = machine, None, None

    def record(self, stream: Stream | None = None) -> None:
        self.stream = stream or self.machine.current_stream()
        self.mark = lambda: None
        self.stream.queue.append(self.mark)

    def synchronize(self) -> None:
        if self.mark in self.stream.queue:
            self.stream.run(self.mark)


class Machine:
    """What stands in place of ``torch.cuda``, and of the methods of tensors that reach a device."""

    def __init__(self) -> None:
        self.current = 0
        self.streams = [Stream(i, self) for i in range(COUNT)]  # each device's current one
        self.places: dict[int, tuple[torch.Tensor, int]] = {}  # tensors "on" a device; kept, so that ids stay theirs
        self.recorded: list[tuple[torch.Tensor, Stream]] = []
        self.synchronized: list[int] = []

    def index(self, device: torch.device | int | None) -> int:
        if device is None:
            return self.current
        number = device if isinstance(device, int) else torch.device(device).index
        return self.current if number is None else number

    def current_stream(self, device: torch.device | int | None = None) -> Stream:
        return self.streams[self.index(device)]

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before = self.current, self.streams[stream.index]
        self.current, self.streams[stream.index] = stream.index, stream
        try:
            yield
        finally:
            self.current, self.streams[stream.index] = before

    def synchronize(self, device: torch.device | int | None = None) -> None:
        self.synchronized.append(self.index(device))

    def place(self, tensor: torch.Tensor, index: int) -> torch.Tensor:
        self.places[id(tensor)] = tensor, index
        return tensor

    def compute(self, work: Callable[[torch.Tensor], torch.Tensor], wave: torch.Tensor) -> torch.Tensor:
        """Queue ``work`` where torch would: on the current stream of the tensor's device."""
        index = self.places[id(wave)][1]
        out = self.place(torch.full_like(wave, torch.nan), index)
        self.streams[index].queue.append(lambda: out.set_(work(wave)))
        return out


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    names = {
        "is_available": lambda: True,
        "device_count": lambda: COUNT,
        "get_device_name": lambda device=None: f"GPU {found.index(device)}",
        "mem_get_info": lambda device=None: ((1 + found.index(device)) * GB, 80 * GB),
        "Stream": lambda device=None: Stream(device, found),
        "Event": lambda: Event(found),
    }
    for name in ("current_stream", "stream", "synchronize"):
        names[name] = getattr(found, name)
    for name, value in names.items():
        monkeypatch.setattr(torch.cuda, name, value)
    to, empty, copy = torch.Tensor.to, torch.empty, torch.Tensor.copy_

    def move(tensor: torch.Tensor, *arguments: Any, **more: Any) -> torch.Tensor:
        if not (arguments and isinstance(arguments[0], torch.device) and arguments[0].type == "cuda"):
            return to(tensor, *arguments, **more)
        index = found.index(arguments[0])
        there = found.place(torch.full_like(tensor, torch.nan), index)
        if more.get("non_blocking", False):
            found.streams[index].queue.append(lambda: copy(there, tensor))
            return there
        return copy(there, tensor)

    def copy_(tensor: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        if id(source) not in found.places:
            return copy(tensor, source)
        assert non_blocking
        found.streams[found.places[id(source)][1]].queue.append(lambda: copy(tensor, source))
        return tensor

    def make(*shape: Any, pin_memory: bool = False, **more: Any) -> torch.Tensor:
        return torch.full(*shape, torch.nan, **more) if pin_memory else empty(*shape, **more)

    monkeypatch.setattr(torch, "empty", make)
    monkeypatch.setattr(torch.Tensor, "to", move)
    monkeypatch.setattr(torch.Tensor, "copy_", copy_)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: found.recorded.append((tensor, stream)))
    monkeypatch.setattr(torch.backends, "mps", SimpleNamespace(is_available=lambda: False))
    return found
