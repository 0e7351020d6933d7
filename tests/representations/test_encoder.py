"""The file of an encoder: it must be there, of a kind that is read, and the one that the settings name."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from helpers.encoders import encoder, waves

from earmark import representations
from earmark.config import ConfigError, RepresentationConfig
from earmark.features import extract

MEAN = "def encode(wave):\n    return [wave.mean(), wave.std()]\n"


def config(file, **options):
    return RepresentationConfig(kind="encoder", rate=16_000, samples=20_000, file=str(file), **options)


def test_the_digest_of_the_file_is_part_of_the_settings_and_so_of_every_fingerprint(tmp_path):
    file = tmp_path / "e.py"
    file.write_text(MEAN)
    first = representations.resolve(config(file))
    assert first.options()["sha256"] == hashlib.sha256(MEAN.encode()).hexdigest()
    assert representations.resolve(first) == first
    mark = extract._fingerprint("waves", first)
    file.write_text(MEAN + "\n# and a comment\n")
    assert extract._fingerprint("waves", representations.resolve(config(file))) != mark
    with pytest.raises(
        ConfigError, match=r"^encoders\.mine\.sha256 must be that of .*e\.py, [0-9a-f]{64}, got '.*file"
    ):
        representations.of(first, "mine")


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.ckpt", "weights.bin", "named.onnx"])
def test_a_pickle_is_refused_whatever_its_name_with_the_way_to_safetensors(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ConfigError, match=r"^encoders\.mine\.file must be .*is a pickle, .*safetensors\.torch\.save"):
        encoder(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("absent.onnx", r"file must be a file that exists, got '.*absent\.onnx'"),
        ("data/weights/musicnn-xyz.safetensors", r"file must be .* \(`earmark weights musicnn-xyz` makes it\)"),
        ("musicnn-mtt", r"file must end in one of .*published weights is data/weights/musicnn-mtt\.safetensors"),
        ("model.tflite", r"file must end in one of \.onnx, \.safetensors, \.py, got '.*model\.tflite'"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_there_or_of_another_kind_is_named(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"^encoders\.mine\.{told}"):
        encoder(name)


def test_an_option_of_another_type_or_name_is_refused(tmp_path):
    (tmp_path / "e.py").write_text(MEAN)
    with pytest.raises(ConfigError, match=r"^encoders\.mine\.pooling: input should be 'none', 'mean' or 'mean-std'"):
        encoder(tmp_path / "e.py", pooling="max")
    with pytest.raises(ConfigError, match=r"^unknown key encoders\.mine\.layers, got 3: encoder takes file, sha256, "):
        encoder(tmp_path / "e.py", layers=3)
    with pytest.raises(ConfigError, match=r"^encoders\.mine\.hop must be at least 1, got 0"):
        encoder(tmp_path / "e.py", hop=0)


def test_the_axes_say_which_file_made_the_embeddings(tmp_path):
    (tmp_path / "e.py").write_text(MEAN)
    heard = encoder(tmp_path / "e.py")
    assert heard.axes["encoder"] == hashlib.sha256(MEAN.encode()).hexdigest()
    assert (heard(waves()).shape, heard.axes["hz"].shape) == ((3, 1, 2), (2,))
