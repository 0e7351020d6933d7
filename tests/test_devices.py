"""Which device EARMARK_DEVICE names, and copies to and from a GPU that is not torch's current one."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch
from helpers.fake_gpus import GB, Event, Machine, machine  # noqa: F401 - a fixture
from helpers.features import MEL, representation

from earmark import devices
from earmark.errors import EarmarkError
from earmark.features.extract import Extractor
from earmark.papers import budget
from earmark.training import distributed

SECOND = torch.device("cuda:1")


@pytest.fixture
def second(machine: Machine, monkeypatch):  # noqa: F811
    monkeypatch.setenv("EARMARK_DEVICE", "cuda:1")
    return machine


def test_without_a_gpu_the_device_is_the_cpu(monkeypatch):
    monkeypatch.delenv("EARMARK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.device() == torch.device("cpu")
    assert devices.kind(devices.device()).startswith(f"cpu {platform.machine()}")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", "cuda:0"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:01", "cuda:1")],
)
def test_a_gpu_is_named_with_its_number(monkeypatch, wanted, found):
    monkeypatch.setenv("EARMARK_DEVICE", wanted)
    assert str(devices.device()) == found


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("wanted", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA", " cuda", "cuda:1 ", "1"])
def test_what_is_no_device_is_refused_by_name(monkeypatch, wanted):
    monkeypatch.setenv("EARMARK_DEVICE", wanted)
    with pytest.raises(EarmarkError, match=f"EARMARK_DEVICE must be cpu, cuda, cuda:N or mps, got '{wanted}'"):
        devices.device()


@pytest.mark.usefixtures("machine")
def test_a_gpu_that_is_not_there_is_refused_with_the_number_of_those_that_are(monkeypatch):
    monkeypatch.setenv("EARMARK_DEVICE", "cuda:9")
    with pytest.raises(EarmarkError, match=r"must be at most cuda:1, got 'cuda:9': torch sees 2 GPU\(s\)"):
        devices.device()


@pytest.mark.parametrize("wanted", ["cuda", "cuda:1", "mps"])
def test_a_gpu_where_torch_sees_none_is_refused(monkeypatch, wanted):
    monkeypatch.setenv("EARMARK_DEVICE", wanted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(EarmarkError, match=f"EARMARK_DEVICE must name a device that is here, got '{wanted}'"):
        devices.device()


def test_everything_is_asked_of_the_device_in_use_and_not_of_the_current_one(second):
    where = devices.device()
    assert devices.kind(where) == "GPU 1"
    assert devices.free_bytes(where) == 2 * GB
    budget._seconds(lambda: None, 1, where)
    assert second.synchronized == [1, 1]


@pytest.mark.usefixtures("second")
def test_lightning_trains_on_the_device_in_use_but_several_processes_take_their_own(monkeypatch):
    assert devices.lightning(devices.device()) == {"accelerator": "cuda", "devices": [1]}
    assert devices.lightning(torch.device("cpu")) == {"accelerator": "cpu", "devices": 1}
    monkeypatch.setenv("EARMARK_DEVICES", "2")
    told = devices.lightning(devices.device()) | distributed.settings()
    assert (told["accelerator"], told["devices"], told["strategy"]) == ("cuda", 2, "ddp")


def test_what_comes_back_from_the_second_gpu_is_complete_whenever_it_may_be_read(second):
    """Two batches in flight; each is read after its event alone, and holds NaN until its copy is done."""
    copies = devices.Copies(devices.device())
    batches = [np.full((2, 5), value, np.float32) for value in (1, 2)]
    ready = [copies.download(second.compute(lambda wave: 10 * wave, copies.upload(batch))) for batch in batches]
    assert second.streams[0].queue == []
    for batch, wait in zip(batches, ready, strict=True):
        np.testing.assert_array_equal(wait(), 10 * batch)
    assert [stream for _, stream in second.recorded] == [second.streams[1]] * 2
    assert copies.stream.device == SECOND
    assert copies.stream is not second.streams[1]


def test_an_event_in_a_stream_of_the_current_device_would_not_wait_for_the_copy(second, monkeypatch):
    """What the test above relies on: the machine tells such an event from one in the stream of the copy."""
    record = Event.record
    monkeypatch.setattr(Event, "record", lambda event, _=None: record(event, second.streams[0]))
    copies = devices.Copies(devices.device())
    wait = copies.download(second.compute(lambda wave: wave, copies.upload(np.ones((1, 5), np.float32))))
    assert np.isnan(wait()).all()


def test_the_extractor_computes_on_the_device_in_use(second):
    class Doubling(torch.nn.Module):
        def forward(self, wave):
            return second.compute(lambda wave: 2 * wave, wave)

    engine = Extractor(representation(MEL))
    assert engine.device == SECOND
    engine.transform = Doubling()
    waves = np.arange(10, dtype=np.float32).reshape(2, 5)
    np.testing.assert_array_equal(engine._compute(waves)(), 2 * waves)


@pytest.mark.parametrize(
    ("error", "lacking"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_a_fault_that_speaks_of_memory(error, lacking):
    assert devices.lacks_memory(error) == lacking
