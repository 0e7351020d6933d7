"""An encoder in the pipeline: cached like a representation, run again for another file, heard by predict."""

from __future__ import annotations

import hashlib

import pytest
from helpers.clones import LINEAR, SMALL, Clone, six_songs

SCRIPT = """
import numpy as np

def encode(wave):
    power = np.abs(np.fft.rfft(wave.reshape(7, 4_000), axis=1))[:, 1:1_601] ** 2
    return np.log(power.reshape(7, 16, 100).mean(2) + 1e-6)
"""


BANDS = {"kind": "encoder", "rate": 16_000, "samples": 28_000, "file": "bands.py", "pooling": "mean-std"}


def joint(script, **options):
    """Mel and the encoder in one, with the digest of that file."""
    bands = {"kind": "encoder", "file": "bands.py", "sha256": hashlib.sha256(script.encode()).hexdigest()}
    parts = {"mel": {"kind": "mel", "n_mels": 24}, "bands": bands | options}
    return {"kind": "joint", "rate": 16_000, "samples": 28_000, "frames": 14, "parts": parts}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders") / "project"
    folder.mkdir()
    clone = Clone.of_this(folder, OMP_NUM_THREADS="1").warm()
    six_songs(folder / "corpus")
    (folder / "bands.py").write_text(SCRIPT)
    clone.small(
        encoders={"bands": BANDS},
        representations=SMALL["representations"] | {"both": joint(SCRIPT)},
        experiments={
            "linear": LINEAR,
            "probe": LINEAR | {"representation": "bands"},
            "joint": LINEAR | {"representation": "both"},
        },
    )
    return clone


def test_embeddings_are_cached_and_another_file_runs_what_depends_on_it_and_nothing_else(clone):
    """Of a joint representation, params.yaml names the digest of the file: with another one it must be changed."""
    ran = clone.repro()
    assert {"encode@bands", "standardize-encoded@bands-top50", "train@probe", "evaluate@probe"} <= set(ran)
    on_joint = {"features@both", "standardize@both-top50", "train@joint", "evaluate@joint"}
    assert on_joint <= set(ran)
    assert clone.repro() == []
    other = SCRIPT.replace("1e-6", "1e-3")
    (clone.folder / "bands.py").write_text(other)
    after = ["encode@bands", "standardize-encoded@bands-top50", "train@probe", "evaluate@probe", "report"]
    assert clone.repro() == after
    assert "representations.both.parts.bands.sha256 must be that of bands.py" in clone.run("earmark", "doctor", code=1)
    held = clone.params_now()
    held["encoders"]["bands"]["pooling"] = "mean"
    held["representations"]["both"] = joint(other)
    clone.params(**held)
    assert set(clone.repro()) == {*after, *on_joint}


def test_a_model_on_embeddings_hears_any_file(clone):
    song = next((clone.folder / "corpus/audio").rglob("*.mp3"))
    said = clone.run("earmark", "predict", str(song), "--model", "probe")
    assert "probability" in said
    (clone.folder / "bands.py").write_text(SCRIPT + "# another file\n")
    refused = clone.run("earmark", "predict", str(song), "--model", "probe", code=1)
    assert "sha256 must be that of bands.py" in refused + clone.output


def test_an_encoder_stands_in_its_own_section_under_a_name_of_its_own(clone):
    held = clone.params_now()
    entry = held["encoders"]["bands"]
    clone.params(encoders={}, representations=held["representations"] | {"bands": entry})
    assert "representations.bands.kind must not be 'encoder' here: its place is `encoders`" in clone.run(
        "earmark", "doctor", code=1
    )
    clone.params(encoders={"mel": entry}, representations=held["representations"])
    said = clone.run("earmark", "doctor", code=1)
    assert "encoders.mel must have another name: representations.mel is there, too" in said
