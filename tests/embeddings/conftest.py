"""A small corpus with cached mel, a linear experiment, an encoder in a Python file, and a model in a file."""

from __future__ import annotations

import contextlib

import pytest
import soundfile as sf
from helpers.clones import six_songs
from helpers.encoders import saved
from helpers.music import write_mp3
from helpers.small_data import fill

from earmark.config import load
from earmark.corpus.manifest import read_manifest
from earmark.decode.waveforms import Waveforms
from earmark.features import extract

SCRIPT = """
import numpy as np

def encode(wave, layer="both"):
    blocks = wave[: len(wave) // 1000 * 1000].reshape(-1, 1000)
    found = np.stack([blocks.mean(1), blocks.std(1)], axis=1)
    return found if layer == "both" else found[:, 1:]
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Read only: its params.yaml names an experiment `linear` and an encoder `bands`; model.safetensors is a model."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(None):
        patch.setenv("EARMARK_WAVEFORMS", str(folder / "store"))
        six_songs(folder)
        for path in folder.glob("audio/*/*.mp3"):  # as long as what is kept of a clip: a longer one is heard to its end
            write_mp3(path, sf.read(path, dtype="float32")[0][:29_000])
        place = fill(folder, folder / "audio", folder / "annotations_final.csv")
        (folder / "bands.py").write_text(SCRIPT)
        bands = {"kind": "encoder", "rate": 16_000, "samples": 28_000, "file": str(folder / "bands.py")}
        place.add("encoders", bands=bands)
        clips = read_manifest(place.data / "corpus/manifest.csv")
        waveforms = Waveforms(place.data / "waveforms/16000", clips, place.audio)
        extract.extract(waveforms, place.data / "features/bands", load(place.params).encoders["bands"])
    saved(folder / "model.safetensors", units=6, layers=1)
    return place
