"""Pickles are refused by name and by content, and what is none is not."""

from __future__ import annotations

import pickle
import zipfile

import pytest
import torch

from earmark import pickles, predict
from earmark.errors import EarmarkError


def test_a_pickle_is_refused_whatever_it_is_called(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "old").write_bytes(pickle.dumps([1], protocol=2))
    for name in ("model.safetensors", "old", "absent.pth", "Model.BIN", "model.ckpt"):
        with pytest.raises(EarmarkError, match=rf"{name} is a pickle, .* no pickle is read here.*safetensors"):
            pickles.refuse(tmp_path / name)


def test_other_files_are_not(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("a.txt", "text")
    (tmp_path / "model.safetensors").write_bytes((8).to_bytes(8, "little") + b"{}      ")
    (tmp_path / "empty").touch()
    for name in ("a.whl", "model.safetensors", "empty", "absent.safetensors", ""):
        pickles.refuse(tmp_path / name)


def test_a_model_that_is_a_pickle_is_refused(tmp_path):
    with pytest.raises(EarmarkError, match="is a pickle"):
        predict.load(tmp_path / "model.pt")
    with pytest.raises(EarmarkError, match="is a pickle"):
        predict.open_predictor(tmp_path / "params.yaml", "model.pt", tmp_path)
