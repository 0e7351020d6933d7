"""A worker with several GPUs: each shard has one of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers.fake_gpus import machine  # noqa: F401 - a fixture
from helpers.features import MEL, representation

from earmark.features import extract, gpus


@pytest.fixture
def two_gpus(machine, monkeypatch):  # noqa: ARG001, F811 - the fixture
    monkeypatch.delenv("EARMARK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "H100")  # noqa: ARG005
    return [torch.device("cuda", 0), torch.device("cuda", 1)]


def test_all_gpus_of_the_first_ones_kind_are_usable_and_one_alone_if_it_is_named(two_gpus, monkeypatch):
    assert gpus.usable() == two_gpus
    monkeypatch.setenv("EARMARK_DEVICE", "cuda")
    assert gpus.usable() == two_gpus
    monkeypatch.setenv("EARMARK_DEVICE", "cuda:1")
    assert gpus.usable() == two_gpus[1:]
    monkeypatch.setenv("EARMARK_DEVICE", "cpu")
    assert gpus.usable() == [torch.device("cpu")]
    monkeypatch.delenv("EARMARK_DEVICE")
    monkeypatch.setattr(torch.cuda, "get_device_name", str)
    assert gpus.usable() == two_gpus[:1]


def test_two_shards_are_computed_at_once_on_two_gpus_and_a_third_waits(two_gpus, monkeypatch, tmp_path):
    together, running, most, lock = threading.Barrier(2, timeout=30), [], [], threading.Lock()

    class Engine:
        def __init__(self, config, name, device):
            self.config, self.name, self.device = config, name, device

        def run(self, source, target, fingerprint, done):  # noqa: ARG002
            with lock:
                running.append(self.device)
                most.append(list(running))
            together.wait()  # nobody comes here alone
            with lock:
                running.remove(self.device)

    monkeypatch.setattr(extract, "Extractor", Engine)
    monkeypatch.setattr(extract, "_ENGINES", {})
    config = representation(MEL)
    with ThreadPoolExecutor(4) as threads:
        names = [tmp_path / "mel" / f"{number}.h5" for number in range(4)]
        list(threads.map(lambda name: extract.compute_shard(config, name, name, "f"), names))
        assert max(map(len, most)) == 2
        assert all(len(set(at_once)) == len(at_once) for at_once in most)
        assert set(extract._ENGINES) == set(two_gpus)


def test_an_engine_is_kept_for_the_next_shard_and_replaced_by_other_settings(monkeypatch):
    made = []

    class Engine:
        def __init__(self, config, name, device):
            self.config, self.name, self.device = config, name, device
            made.append(name)

    monkeypatch.setattr(extract, "Extractor", Engine)
    monkeypatch.setattr(extract, "_ENGINES", {})
    cpu, config = torch.device("cpu"), representation(MEL)
    assert extract._engine(config, cpu, "a") is extract._engine(representation(MEL), cpu, "a")
    extract._engine(representation(MEL | {"n_mels": 20}), cpu, "a")
    extract._engine(config, cpu, "b")
    assert made == ["a", "a", "b"]
    assert len(extract._ENGINES) == 1
