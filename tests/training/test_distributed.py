"""Several processes learn what one process learns, and one of them writes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT

from earmark.errors import EarmarkError
from earmark.training import distributed

SCRIPT = ROOT / "tests/helpers/train_in_processes.py"
PLAIN = {k: v for k, v in os.environ.items() if not k.startswith(("EARMARK_", "SLURM_"))} | {"OMP_NUM_THREADS": "1"}


def train(out: Path, launcher=(sys.executable,), **variables: str):
    command = [*launcher, str(SCRIPT), str(out)]
    done = subprocess.run(command, env=PLAIN | variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((out / "result.json").read_text()), torch.load(out / "state.pt", weights_only=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return train(tmp_path_factory.mktemp("alone"))


def assert_same(first, second):
    """Weights after 3 epochs of 4 steps agree to 1e-5 of their size, losses to 1e-6: rounding of the averaged sums."""
    for key, weights in first[1].items():
        np.testing.assert_allclose(weights, second[1][key], rtol=1e-5, atol=1e-6, err_msg=key)
    np.testing.assert_allclose(first[0]["curves"], second[0]["curves"], rtol=1e-6, atol=1e-6)


def test_two_processes_learn_what_one_learns_and_one_of_them_writes(alone, tmp_path):
    both = train(tmp_path, EARMARK_DEVICES="2", EARMARK_LOGGER="csv", EARMARK_LOGS=str(tmp_path / "logs"))
    (log,) = (tmp_path / "logs").rglob("metrics.csv")
    assert len(log.read_text().splitlines()) == 1 + len(both[0]["curves"])
    assert both[0]["writers"] == alone[0]["writers"] == 1
    assert (alone[0]["processes"], both[0]["processes"]) == (1, 2)
    assert_same(alone, both)


def test_torchrun_over_two_nodes_on_loopback_learns_the_same(alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"]
    other = subprocess.Popen(
        [*torchrun, str(SCRIPT), str(tmp_path)], env=PLAIN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        both = train(tmp_path, torchrun)
        other.wait(60)
    finally:
        other.kill()
    assert both[0]["processes"] == 2
    assert both[0]["writers"] == 1
    assert_same(alone, both)


def test_the_shares_of_a_batch_are_all_of_it_and_their_weighted_means_its_mean(monkeypatch):
    rows = torch.arange(7.0)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "_rank_and_size", lambda rank=rank: (rank, 3))
        mine, weight = rows[distributed.share()], distributed.weight_of_share(len(rows))
        parts.append((mine, weight))
    assert sorted(torch.cat([mine for mine, _ in parts]).tolist()) == rows.tolist()
    assert sum(weight * float(mine.mean()) for mine, weight in parts) / 3 == pytest.approx(float(rows.mean()))
    with pytest.raises(EarmarkError, match="a clip for each of 3 processes, got 2"):
        distributed.weight_of_share(2)


def test_settings_come_from_the_environment_and_wrong_ones_are_named(monkeypatch):
    for name in ("EARMARK_DEVICES", "EARMARK_NODES", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    assert distributed.settings() == {}
    monkeypatch.setenv("EARMARK_DEVICES", "4")
    monkeypatch.setenv("EARMARK_NODES", "2")
    assert (distributed.settings()["devices"], distributed.settings()["num_nodes"]) == (4, 2)
    monkeypatch.setenv("EARMARK_DEVICES", "0")
    with pytest.raises(EarmarkError, match="EARMARK_DEVICES must be a whole number of at least 1, got '0'"):
        distributed.settings()
