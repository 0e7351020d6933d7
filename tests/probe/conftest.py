"""A data folder with labels and waveforms, and an encoder of which one layer hears the pitch and another nothing."""

from __future__ import annotations

import shutil

import pytest
from helpers.music import write_songs
from helpers.small_data import Place, fill

FILE = """
import numpy as np

LAYERS = ("spectrum", "nothing")


def encode(wave, layer):
    blocks = wave[:28_000].reshape(7, 4_000)
    if layer == "nothing":
        return np.zeros((7, 2))
    power = np.abs(np.fft.rfft(blocks, axis=1))[:, 1:1_601] ** 2
    return np.log(power.reshape(7, 16, 100).mean(2) + 1e-6)
"""


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Place:
    folder = tmp_path_factory.mktemp("probe")
    return fill(folder, *write_songs(folder))


@pytest.fixture
def place(filled, tmp_path) -> Place:
    shutil.copytree(filled.data, tmp_path / "data")
    shutil.copy(filled.params, tmp_path)
    found = Place(tmp_path, filled.audio)
    (tmp_path / "e.py").write_text(FILE)
    file = str(tmp_path / "e.py")
    found.add("encoders", mine={"kind": "encoder", "rate": 16_000, "samples": 28_000, "file": file, "pooling": "none"})
    return found
